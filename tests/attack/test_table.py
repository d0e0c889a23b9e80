"""The table, its verdicts, and the exit code."""

from attack import table
from attack.table import Result

OK = Result("H1", "an attack", normal=100, peak=120, kept=101, wait=0.012, scrape=0.4, stop=0.3)


def test_row_has_the_cost_of_the_attack() -> None:
    assert table.line(OK) == "| H1 an attack | +20 | +1 | 12 | 0.4 | 0 | 0.3 | ok |"
    assert table.head().count("|") == 2 * table.line(OK).count("|")


def test_failure_has_its_reasons_and_exit_code_1() -> None:
    failed = Result("M2", "another", problems=["it held the loop", "it lost pings"])
    assert "| FAIL |" in table.line(failed)
    assert table.summary([OK, failed]).splitlines() == [
        "M2 FAIL: it held the loop",
        "M2 FAIL: it lost pings",
        "1 ok, 1 FAIL",
    ]
    assert table.exit_code([OK, failed]) == 1


def test_attack_that_is_not_possible_here_is_no_failure() -> None:
    skipped = Result("L2", "third", not_run="dnspython is missing")
    assert "not run: dnspython is missing" in table.line(skipped)
    assert table.exit_code([OK, skipped]) == 0


def test_no_attack_at_all_is_a_failure() -> None:
    assert table.exit_code([]) == 1
