"""The report of doctor: as text for a person, and as JSON for a program (docs/doctor.md has its schema)."""

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from redis_pulse import __version__
from redis_pulse.advice import SEVERITIES, FilledAdvice, Severity, printable
from redis_pulse.doctor.findings import DoctorFinding, Findings

#: The version of the JSON. It changes when a field changes its meaning or disappears.
SCHEMA_VERSION = 1
#: The text is never narrower and never wider.
MIN_COLUMNS, MAX_COLUMNS = 40, 100
#: A finding of more subjects than this is printed once.
MAX_REPEATED = 3
#: Of such a finding, so many names, and so many texts that differ.
_MAX_NAMES, _MAX_TEXTS = 20, 3
#: What is the same in a shared finding: code, severity and title.
_Kind = tuple[str, Severity, str]
#: The subjects of a finding, each with its texts.
_Found = list[tuple[str, FilledAdvice]]
_COLOURS = {"error": "31", "warning": "33", "note": "2"}


def as_text(subjects: Sequence[Findings], columns: int, *, colour: bool = False) -> str:
    """Return the report as text. Commands are never wrapped, because they are pasted.

    A finding of more than ``MAX_REPEATED`` subjects is printed once, below their names.
    """
    width = min(MAX_COLUMNS, max(MIN_COLUMNS, columns))
    shared = _shared(subjects)
    parts = [_block(_names(names), [_shared_finding(found, width, colour=colour) for found in groups], width)
             for names, groups in _by_names(shared)]  # fmt: skip
    for findings in subjects:
        own = [_finding(finding, width, colour=colour) for finding in findings if _kind(finding) not in shared]
        if own:
            parts.append(_block(_title(findings), own, width))
    return "\n".join([*parts, summary(subjects, width)])


def summary(subjects: Sequence[Findings], width: int = MAX_COLUMNS) -> str:
    """Return one sentence with the number of findings by severity."""
    counts = Counter(finding.advice.severity for findings in subjects for finding in findings)
    numbers = ", ".join(_plural(counts[severity], severity) for severity in reversed(SEVERITIES))
    codes = "Each code has a page: docs/findings/."
    return "\n".join(textwrap.wrap(f"{numbers}. {codes}", width)) + "\n"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _kind(finding: DoctorFinding) -> _Kind:
    return finding.advice.code, finding.advice.severity, finding.advice.title


def _shared(subjects: Sequence[Findings]) -> dict[_Kind, _Found]:
    """Return the findings that more than ``MAX_REPEATED`` subjects share, the most severe first."""
    found = defaultdict[_Kind, _Found](list)
    for findings in subjects:
        for finding in findings:
            found[_kind(finding)].append((findings.subject, finding.advice))
    shared = {kind: those for kind, those in found.items() if len({name for name, _ in those}) > MAX_REPEATED}
    return dict(sorted(shared.items(), key=lambda item: -SEVERITIES.index(item[0][1])))


def _by_names(shared: Mapping[_Kind, _Found]) -> Iterable[tuple[tuple[str, ...], list[_Found]]]:
    """Yield the shared findings of the same subjects together."""
    groups = defaultdict[tuple[str, ...], list[_Found]](list)
    for found in shared.values():
        groups[tuple(dict.fromkeys(name for name, _ in found))].append(found)
    return groups.items()


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:_MAX_NAMES]))
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more (--json names all)"


def _title(findings: Findings) -> str:
    title = printable(findings.subject)
    if findings.address and findings.address not in title:
        title = f"{title} ({printable(findings.address)})"
    return title


def _block(title: str, findings: Iterable[list[str]], width: int) -> str:
    lines = textwrap.wrap(title, width, break_long_words=True, break_on_hyphens=False) or [title]
    for finding in findings:
        lines += ["", *finding]
    return "\n".join([*lines, ""])


def _finding(finding: DoctorFinding, width: int, *, colour: bool) -> list[str]:
    return _shared_finding([("", finding.advice)], width, colour=colour)


def _shared_finding(found: _Found, width: int, *, colour: bool) -> list[str]:
    """Return the lines of a finding, with the first of its texts. Several different texts begin with a name."""
    advice = found[0][1]
    head = f"{advice.severity} {advice.code}: {advice.title}"
    lines = textwrap.wrap(head, width - 2, break_on_hyphens=False)
    if colour:
        lines[0] = f"\x1b[{_COLOURS[advice.severity]}m{advice.severity}\x1b[0m{lines[0][len(advice.severity) :]}"
    lines += _texts("Why", [(name, one.why) for name, one in found], width)
    if advice.severity != "note" or advice.command:
        lines += _texts("Do", [(name, one.do) for name, one in found], width)
    commands = dict.fromkeys(one.command for _, one in found if one.command)
    lines += [f"      {command}" for command in islice(commands, _MAX_TEXTS)]
    if len(commands) > _MAX_TEXTS:
        lines.append(f"      ({len(commands) - _MAX_TEXTS} more: --json has all)")
    return [f"  {line}" for line in lines]


def _texts(label: str, texts: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Return the first of the different texts, each with the name of its first subject."""
    first: dict[str, str] = {}
    for name, text in texts:
        first.setdefault(text, name)
    if len(first) == 1:
        return _labelled(label, next(iter(first)), width - 2)
    lines = []
    for text, name in islice(first.items(), _MAX_TEXTS):
        lines += _labelled(label, f"{printable(name)}: {text}", width - 2)  # a long name must be wrapped too
    if len(first) > _MAX_TEXTS:
        lines += _labelled(label, f"{len(first) - _MAX_TEXTS} more: --json has all.", width - 2)
    return lines


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
