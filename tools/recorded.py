"""Which fields a recorded reply of a real server has. ``docs/metrics.md`` marks the metrics of all other fields."""

import re
from functools import cache
from pathlib import Path

REPLIES = Path(__file__).parents[1] / "tests" / "replies"
#: Parts of a spelling in a metric definition that stand for a number or a name.
_PLACEHOLDER = re.compile(r"N(?=_|$)|TYPE|X(?=_|$)|KIND|DIRECTION")


@cache
def _words() -> str:
    """Return all recorded replies as one text."""
    files = sorted([*REPLIES.glob("*/*.txt"), *REPLIES.glob("*/*.json")])
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


@cache
def is_recorded(field: str) -> bool:
    """Return whether a field, or the pair of a line such as ``slaveN:lag``, is in a recorded reply.

    ``dbN_distrib_TYPE_items`` is recorded if its fixed parts are in one word of a reply, in this order.
    """
    name = field.rpartition(":")[2] or field
    pattern = r"[^\s,:=]*".join(re.escape(part) for part in _PLACEHOLDER.split(name))
    return re.search(rf"(?<![\w-]){pattern}(?![\w-])", _words()) is not None
