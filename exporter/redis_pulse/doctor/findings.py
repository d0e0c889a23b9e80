"""What doctor found: findings, their order, and the exit code that follows from them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from redis_pulse.advice import SEVERITIES, FilledAdvice, Severity, for_key
from redis_pulse.advice.model import Value
from redis_pulse.masking import mask

#: Exit codes by the worst severity.
EXIT_CODES: Mapping[Severity, int] = {"note": 0, "warning": 1, "error": 2}
FailOn = Literal["warning", "error"]


class DoctorFinding(NamedTuple):
    """One finding: the check that made it, and its advice. No text contains a secret."""

    check: str
    advice: FilledAdvice


class Findings:
    """The findings of one subject: a target, or the configuration, or the host."""

    def __init__(self, subject: str, address: str = "", values: Mapping[str, Value] | None = None) -> None:
        self.subject = subject
        self.address = address
        #: what all findings of the subject may name in their texts
        self.values: dict[str, Value] = dict(values or {})
        #: the name of the check that runs
        self.check = ""
        #: the checks that ran to their end, and those that could not run
        self.done: list[str] = []
        self.skipped: list[str] = []
        self._found: list[DoctorFinding] = []

    def __iter__(self) -> Iterator[DoctorFinding]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, key: str, **values: Value) -> None:
        """Add the finding with this key. The values fill the placeholders of its texts."""
        self.add_as(for_key(key).severity, key, **values)

    def add_as(self, severity: Severity, key: str, **values: Value) -> None:
        """Add a finding with another severity than its usual one."""
        filled = for_key(key).fill(self.values | {name: _masked(value) for name, value in values.items()})
        filled = filled._replace(severity=severity)
        finding = DoctorFinding(self.check, filled)
        if finding not in self._found:
            self._found.append(finding)

    def codes(self) -> list[str]:
        """Return the codes in the order in which they were found."""
        return [finding.advice.code for finding in self._found]

    def worst(self) -> Severity:
        """Return the worst severity, ``note`` if there is no finding."""
        return max((finding.advice.severity for finding in self._found), key=SEVERITIES.index, default="note")


def _masked(value: Value) -> Value:
    return mask(value) if isinstance(value, str) else value


def exit_code(subjects: Iterable[Findings], fail_on: FailOn = "warning") -> int:
    """Return 0 for notes at most, 1 for a warning, 2 for an error. ``fail_on`` error makes a warning harmless."""
    worst: Severity = max((findings.worst() for findings in subjects), key=SEVERITIES.index, default="note")
    code = EXIT_CODES[worst]
    return 0 if code == 1 and fail_on == "error" else code
