"""Writes the measured tables into docs/stall-matrix.md and docs/stalls.md."""

import re
from collections.abc import Sequence
from pathlib import Path

from stalls_bench.judge import matrix, shares
from stalls_bench.lane import Row
from stalls_bench.own import DAEMON
from stalls_bench.processes import ROOT

#: What users call a server.
NAMES = {"redis": "Redis 7.0", "valkey": "Valkey 9.1", "redis8": "Redis 8.2", DAEMON: "the daemon itself"}
_PARTS = {"single": "one cause", "pairs": "two causes", "gap": "the gap of Redis 7.0"}
_BEGIN, _END = "<!-- measured -->", "<!-- end of measured -->"


def matrices(rows: Sequence[Row]) -> str:
    """Return a section for each server."""
    servers = dict.fromkeys(row.server for row in rows)
    return "\n\n".join(f"## {NAMES[server]}\n\n{matrix(rows, server)}" for server in servers)


def summary(rows: Sequence[Row]) -> str:
    """Return the shares of each server as a table."""
    lines = ["| server | stalls with | named | right | unknown | wrong |", "|---|---|---|---|---|---|"]
    for server in dict.fromkeys(row.server for row in rows):
        for name, part in shares(rows, server).items():
            percent = [f"{count} ({count / part.total:.1%})" for count in part]
            lines.append(f"| {NAMES[server]} | {_PARTS[name]} | {part.total} | " + " | ".join(percent) + " |")
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(row.seed for row in rows))
    return "\n".join(lines) + f"\n\nSeeds: {seeds}."


def replace_measured(text: str, fresh: str) -> str:
    """Return a document with a fresh measured part. Raise ValueError without its markers."""
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"the document lacks {_BEGIN} or {_END}")
    return re.sub(f"{_BEGIN}.*{_END}", lambda _: f"{_BEGIN}\n\n{fresh}\n\n{_END}", text, flags=re.DOTALL)


def write(rows: Sequence[Row], docs: Path = ROOT / "docs") -> None:
    """Write both documents."""
    for name, fresh in (("stall-matrix.md", matrices(rows)), ("stalls.md", summary(rows))):
        file = docs / name
        file.write_text(replace_measured(file.read_text(encoding="utf-8"), fresh), encoding="utf-8")
