"""Let the search of the site find a metric in the reference first.

The generator has no setting that prefers a page. Its search prefers words in titles to words in texts, and the metrics
are rows of long tables. So runbooks that name a metric often came before its row. Each metric now has an entry of its
own. Its title is the name, and it leads to an anchor in the row.
"""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

#: The page with the metrics on the site. The search shows its place in the navigation.
PAGE = "metrics.md"
_PLACE = ["Reference", "Metrics"]
#: A row with a type. Rows about fields without a metric have none.
_ROW = re.compile(r"^\| (?P<cells>`(?P<name>redis_\w+)` \| \w+ \|.*) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]*)`")


def with_anchors(text: str) -> str:
    """Return the page with an anchor in the row of each metric. The anchor is the name of the metric."""
    return _ROW.sub(lambda row: f'| <a id="{row["name"]}"></a>{row["cells"]} |', text)


def entries(text: str) -> list[dict[str, Any]]:
    """Return one entry for each metric of the page, in the form of the generator's ``search.json``.

    The search also finds names that begin with the words of a query. Of equal finds, the earlier entry comes first. So
    short names are first: ``redis_up`` comes before ``redis_uptime_in_seconds``. The finds are equal only if all texts
    contain the name too.
    """
    return [
        {
            "location": f"{PAGE.removesuffix('.md')}/#{row['name']}",
            "level": 2,
            "title": row["name"],
            "text": _html(row["cells"]),
            "path": _PLACE,
            "tags": [],
        }
        for row in sorted(_ROW.finditer(text), key=lambda row: len(row["name"]))
    ]


def _html(cells: str) -> str:
    text = " ".join(cell.strip() for cell in cells.split("|") if cell.strip())
    return _CODE.sub(r"<code>\1</code>", f"<p>{escape(text, quote=False)}</p>")


def add_entries(site: Path, text: str) -> None:
    """Add the entries of the page to the index of a built site."""
    index = site / "search.json"
    loaded = json.loads(index.read_text(encoding="utf-8"))
    loaded["items"] += entries(text)
    index.write_text(json.dumps(loaded, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
