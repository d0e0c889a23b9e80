"""The text of a report about many subjects."""

from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.report import as_text


def refused(*names: str) -> list[Findings]:
    """Return subjects whose connection is refused, each at its own port."""
    subjects = []
    for number, name in enumerate(names):
        findings = Findings(name, f"127.0.0.1:{7000 + number}")
        findings.add("refused", host="127.0.0.1", port=7000 + number)
        subjects.append(findings)
    return subjects


def test_finding_of_three_subjects_is_printed_for_each() -> None:
    text = as_text(refused("a", "b", "c"), 80)
    assert text.count("RP202") == 3
    assert "a (127.0.0.1:7000)" in text


def test_finding_of_more_subjects_is_printed_once_with_all_names() -> None:
    text = as_text(refused("a", "b", "c", "d", "e"), 80)
    assert text.count("RP202") == 1
    assert text.startswith("a, b, c, d, e\n\n  error RP202: Connection refused\n    Why: a: ")
    assert "on port 7000" in text
    assert "Why: c: " in text
    assert "Why: d: " not in text
    assert "Why: 2 more: --json has all." in text
    assert text.count("systemctl status") == 1, "the same command is printed once"
    assert "5 errors" in text, "the sum counts each"


def test_other_findings_of_these_subjects_stay_below_their_name() -> None:
    subjects = refused("a", "b", "c", "d")
    subjects[1].add("unreachable", host="127.0.0.1", port=7001)
    text = as_text(subjects, 80)
    assert text.index("RP202") < text.index("b (127.0.0.1:7001)") < text.index(subjects[1].codes()[1])
    assert "a (127.0.0.1:7000)" not in text


def test_worst_shared_finding_comes_first() -> None:
    subjects = refused("a", "b", "c", "d")
    for findings in subjects:
        findings.add_as("note", "unreachable", host="127.0.0.1", port=1)
    text = as_text(subjects, 80)
    assert text.count("a, b, c, d\n") == 1, "findings of the same subjects stand together"
    assert text.index("error RP202") < text.index("note ")


def test_many_names_are_cut() -> None:
    text = as_text(refused(*(f"shard-{number}" for number in range(1000))), 80)
    assert "shard-19 and 980 more (--json names all)" in " ".join(text.split())
    assert len(text.splitlines()) < 30
    assert max(map(len, text.splitlines())) <= 80


def test_long_names_fit_a_narrow_terminal() -> None:
    text = as_text(refused(*(f"{'cache-' * 20}{number}" for number in range(5))), 40)
    assert max(len(line) for line in text.splitlines() if "systemctl" not in line) <= 40
    assert "connection is refused" in " ".join(text.split()), "no word is broken"
