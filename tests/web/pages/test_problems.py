"""What is wrong: grouped by what targets have in common, and sorted, the worst first."""

from redis_pulse.web import StatusView
from redis_pulse.web.pages.problems import ProblemGroups, ProblemRow, own_problems
from tests.web.pages.scenes import NOW, OWN, TROUBLED_OWN, eight, target


def rows(*views: StatusView) -> list[ProblemRow]:
    groups = ProblemGroups(NOW)
    for view in views:
        groups.add(view)
    return groups.rows()


def test_worst_is_first_and_well_targets_are_left_out() -> None:
    states = [row.state for row in rows(*reversed(eight()))]
    assert states == ["down", "down", "stalled", "slow", "risk", "recovered", "limited"]


def test_targets_that_went_down_together_are_one_problem_with_their_label() -> None:
    down = [target(f"a{n}", "down", since=NOW - 900 + n, labels={"zone": "b", "team": f"t{n}"}) for n in range(5)]
    well = [target(f"w{n}", labels={"zone": "b" if n < 2 else "c", "team": "t0"}) for n in range(9)]
    (row,) = rows(*down, *well)
    assert (row.title, row.sub) == ("5 targets in zone=b", "5 of 7 there: a0, a1, a2 and 2 more")
    assert row.href == "?state=down&q=zone%3Db#targets"
    assert (row.since, len(row.targets)) == (NOW - 900, 5)


def test_targets_that_went_down_at_other_times_are_other_problems() -> None:
    assert len(rows(target("a", "down", since=NOW - 900), target("b", "down", since=NOW - 800))) == 2
    assert len(rows(target("a", "limited", since=NOW - 900), target("b", "limited", since=NOW - 9))) == 1


def test_targets_with_other_reasons_are_other_problems() -> None:
    assert len(rows(target("a", "down"), target("b", "down", reason="auth"))) == 2


def test_group_without_anything_in_common_has_only_its_number() -> None:
    views = [target(f"a{n}", "down", labels={}, host=f"10.{n}.0.1") for n in range(3)]
    (row,) = rows(*views, target("well", labels={}))
    assert row.title == "3 targets"


def test_what_all_targets_have_does_not_name_a_group() -> None:
    views = [target(f"a{n}", "down", host=f"10.{n}.0.1", labels={"env": "prod"}) for n in range(3)]
    assert rows(*views)[0].title == "3 targets"


def test_sentences_that_differ_name_the_target_that_they_are_about() -> None:
    views = [target(f"a{n}", "down", host=f"10.{n}.0.1", labels={}) for n in range(2)]
    assert rows(*views)[0].said.evidence.startswith("Shown for a0. ")


def test_unknown_beginning_is_said() -> None:
    assert rows(target("a", "down", since_start=True))[0].since_note == "or earlier: so since we watch it"


def test_troubles_of_the_exporter_are_problems_too() -> None:
    titles = [(row.title, row.word) for row in own_problems(TROUBLED_OWN, NOW)]
    assert titles == [("configuration", "exporter"), ("http: cmdb", "exporter"), ("late pings", "exporter")]
    assert "targets[6].probe.intervall is not a setting" in own_problems(TROUBLED_OWN, NOW)[0].said.why
    assert own_problems(OWN, NOW) == []
