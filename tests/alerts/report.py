"""The table of docs/alert-matrix.md: written from a run, and read back."""

import re
from pathlib import Path

from tests.alerts.expected import EXPECTED, Places
from tests.alerts.matrix import Outcome
from tests.integration.daemon import ROOT

PAGE = ROOT / "docs" / "alert-matrix.md"
START, END = "<!-- matrix -->\n", "<!-- /matrix -->\n"
HEAD = f"| fault | where | alerts, and the seconds until they fire | told by Alertmanager |\n{'| --- ' * 4}|\n"
NONE = "none"
_ROW = re.compile(r"\| (?P<fault>.*?) \| `(?P<place>[\w-]+)` \| (?P<fires>.*?) \| (?P<told>.*?) \|")
_ALERT = re.compile(r"`(\w+)`(?: \((warning|critical)\))?")


def table(outcome: Outcome) -> str:
    """Return the table of what a run has shown."""
    lines = []
    for fault, row in EXPECTED.items():
        for number, (place, seen) in enumerate(outcome.of(fault).items()):
            inhibited = row.inhibited.get(place, set())
            in_order = sorted(seen.items(), key=lambda one: (round(one[1]), one[0]))
            fires = ", ".join(f"{_spell(name)} {max(at, 0):.0f}" for name, at in in_order) or NONE
            told = ", ".join(_spell(name) for name, _ in in_order if name not in inhibited) or NONE
            lines.append(f"| {fault if number == 0 else ''} | `{place}` | {fires} | {told} |\n")
    return HEAD + "".join(lines)


def write(outcome: Outcome, page: Path = PAGE) -> None:
    """Replace the table in the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, found, after = rest.partition(END)
    assert found, f"the line {END.strip()} is missing in {page}"
    page.write_text(f"{before}{START}\n{table(outcome)}\n{END}{after}", encoding="utf-8")


def read(text: str) -> dict[str, tuple[Places, Places]]:
    """Return what the table says: fault → what fires by place, and what of it is kept back."""
    found: dict[str, tuple[Places, Places]] = {}
    fault = ""
    for match in _ROW.finditer(text):
        fault = match["fault"].strip() or fault
        fires, inhibited = found.setdefault(fault, ({}, {}))
        fires[match["place"]] = _names(match["fires"])
        if kept := fires[match["place"]] - _names(match["told"]):
            inhibited[match["place"]] = kept
    return found


def _spell(name: str) -> str:
    alert, _, severity = name.partition("/")
    return f"`{alert}`{f' ({severity})' if severity else ''}"


def _names(cell: str) -> set[str]:
    return {f"{name}/{severity}" if severity else name for name, severity in _ALERT.findall(cell)}
