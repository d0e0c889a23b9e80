"""The report of doctor: as text for a person, and as JSON for a program (docs/doctor.md has its schema)."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from redis_pulse import __version__
from redis_pulse.advice import SEVERITIES, printable
from redis_pulse.doctor.findings import DoctorFinding, Findings

#: The version of the JSON. It changes when a field changes its meaning or disappears.
SCHEMA_VERSION = 1
#: The text is never narrower and never wider.
MIN_COLUMNS, MAX_COLUMNS = 40, 100
_COLOURS = {"error": "31", "warning": "33", "note": "2"}


def as_text(subjects: Sequence[Findings], columns: int, *, colour: bool = False) -> str:
    """Return the report as text. Commands are never wrapped, because they are pasted."""
    width = min(MAX_COLUMNS, max(MIN_COLUMNS, columns))
    parts = [_subject(findings, width, colour=colour) for findings in subjects if len(findings)]
    return "\n".join([*parts, summary(subjects, width)])


def summary(subjects: Sequence[Findings], width: int = MAX_COLUMNS) -> str:
    """Return one sentence with the number of findings by severity."""
    counts = Counter(finding.advice.severity for findings in subjects for finding in findings)
    numbers = ", ".join(_plural(counts[severity], severity) for severity in reversed(SEVERITIES))
    codes = "Each code has a page: docs/findings/."
    return "\n".join(textwrap.wrap(f"{numbers}. {codes}", width)) + "\n"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _subject(findings: Findings, width: int, *, colour: bool) -> str:
    title = printable(findings.subject)
    if findings.address and findings.address not in title:
        title = f"{title} ({printable(findings.address)})"
    lines = textwrap.wrap(title, width, break_long_words=True, break_on_hyphens=False) or [title]
    for finding in findings:
        lines += ["", *_finding(finding, width, colour=colour)]
    return "\n".join([*lines, ""])


def _finding(finding: DoctorFinding, width: int, *, colour: bool) -> list[str]:
    advice = finding.advice
    head = f"{advice.severity} {advice.code}: {advice.title}"
    lines = textwrap.wrap(head, width - 2, break_on_hyphens=False)
    if colour:
        lines[0] = f"\x1b[{_COLOURS[advice.severity]}m{advice.severity}\x1b[0m{lines[0][len(advice.severity) :]}"
    lines += _labelled("Why", advice.why, width - 2)
    if advice.severity != "note" or advice.command:
        lines += _labelled("Do", advice.do, width - 2)
    if advice.command:
        lines.append(f"      {advice.command}")
    return [f"  {line}" for line in lines]


def _labelled(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"  {label}: ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=True,
    )


def as_document(subjects: Iterable[Findings], exit_code: int) -> dict[str, Any]:
    """Return the report as plain values, for JSON."""
    listed = list(subjects)
    counts = Counter(finding.advice.severity for findings in listed for finding in findings)
    return {
        "schema": SCHEMA_VERSION,
        "version": __version__,
        "exit_code": exit_code,
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "subjects": [
            {
                "name": printable(findings.subject),
                "address": printable(findings.address),
                "checks_done": findings.done,
                "checks_skipped": findings.skipped,
                "findings": [{"check": finding.check, **finding.advice._asdict()} for finding in findings],
            }
            for findings in listed
        ],
    }


def as_json(subjects: Iterable[Findings], exit_code: int) -> str:
    """Return the report as JSON in ASCII, so that no terminal changes it."""
    return json.dumps(as_document(subjects, exit_code), indent=2) + "\n"
