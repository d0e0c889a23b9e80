"""Writes the table of docs/alert-matrix.md from a run, and parses it."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.alerts.expected import EXPECTED, AlertsByLocation
from tests.alerts.matrix import MatrixResult
from tests.integration.daemon import ROOT

PAGE = ROOT / "docs" / "alert-matrix.md"
START, END = "<!-- matrix -->\n", "<!-- /matrix -->\n"
HEADINGS = ("fault", "where", "alerts, and the seconds until they fire", "sent by Alertmanager", "cause named")
TABLE_HEAD = f"| {' | '.join(HEADINGS)} |\n{'| --- ' * len(HEADINGS)}|\n"
NO_ALERT, NO_STALL = "none", "-"
_ROW = re.compile(
    r"\| (?P<fault>.*?) \| `(?P<location>[\w-]+)` \| (?P<fires>.*?) \| (?P<notified>.*?) \| (?P<cause>.*?) \|"
)
_ALERT = re.compile(r"`(\w+)`(?: \((warning|critical)\))?")


class ParsedRow(NamedTuple):
    """The alerts of a fault by location, those of them that are inhibited, and the cause that its stalls have."""

    fires: AlertsByLocation
    inhibited: AlertsByLocation
    causes: dict[str, str]


def render_table(result: MatrixResult) -> str:
    """Return the table for the result of a run."""
    lines = []
    for fault, row in EXPECTED.items():
        causes = result.causes(fault)
        for number, (location, alerts) in enumerate(result.fired_by(fault).items()):
            inhibited = row.inhibited.get(location, set())
            in_order = sorted(alerts.items(), key=lambda alert: (round(alert[1]), alert[0]))
            fires = "<br>".join(f"{_format_name(name)} {max(at, 0):.0f}" for name, at in in_order) or NO_ALERT
            notified = ", ".join(_format_name(name) for name, _ in in_order if name not in inhibited) or NO_ALERT
            cause = f"`{causes[location]}`" if location in causes else NO_STALL
            lines.append(f"| {fault if number == 0 else ''} | `{location}` | {fires} | {notified} | {cause} |\n")
    return TABLE_HEAD + "".join(lines)


def write_table(result: MatrixResult, page: Path = PAGE) -> None:
    """Replace the table in the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    assert end, f"the line {END.strip()} is missing in {page}"
    page.write_text(f"{before}{START}\n{render_table(result)}\n{END}{after}", encoding="utf-8")


def parse_table(text: str) -> dict[str, ParsedRow]:
    """Return the row of each fault."""
    parsed: dict[str, ParsedRow] = {}
    fault = ""
    for match in _ROW.finditer(text):
        fault = match["fault"].strip() or fault
        fires, inhibited, causes = parsed.setdefault(fault, ParsedRow({}, {}, {}))
        location, alerts = match["location"], _parse_names(match["fires"])
        fires[location] = alerts
        if not_notified := alerts - _parse_names(match["notified"]):
            inhibited[location] = not_notified
        if (cause := match["cause"].strip("`")) != NO_STALL:
            causes[location] = cause
    return parsed


def _format_name(name: str) -> str:
    alert, _, severity = name.partition("/")
    return f"`{alert}`{f' ({severity})' if severity else ''}"


def _parse_names(cell: str) -> set[str]:
    return {f"{name}/{severity}" if severity else name for name, severity in _ALERT.findall(cell)}
