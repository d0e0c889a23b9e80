"""Each rule of ``make attack`` with an input that obeys it and one that breaks it."""

import pytest

from attack import rules
from attack.rules import Wait
from chaos.page import Page

QUIET = [Wait(at / 10, 0.002) for at in range(100)]


def test_wait_of_a_quiet_machine_counts_in_full() -> None:
    assert list(rules.pages_on_time(QUIET, QUIET)) == []
    (problem,) = rules.pages_on_time([*QUIET, Wait(5.0, 0.25)], QUIET)
    assert "took 248 ms" in problem


def test_wait_of_a_busy_machine_is_not_that_of_the_daemon() -> None:
    """The control daemon waited at that time, or other processes ran."""
    busy = Wait(5.0, 0.4)
    assert list(rules.pages_on_time([busy], [*QUIET, Wait(5.05, 0.36)])) == []
    assert list(rules.pages_on_time([Wait(5.0, 0.4, delay=0.35)], QUIET)) == []
    assert rules.longest_wait([busy, Wait(6.0, 0.3)], QUIET).seconds == pytest.approx(0.398)


def test_noise_before_or_after_a_wait_does_not_excuse_it() -> None:
    (problem,) = rules.pages_on_time([Wait(5.0, 0.15)], [*QUIET, Wait(4.5, 0.49), Wait(5.14, 0.4)])
    assert "took 140 ms" in problem


def test_time_in_which_the_daemon_ran_is_never_excused() -> None:
    (problem,) = rules.pages_on_time([Wait(5.0, 0.6, delay=0.45, ran=0.15)], [Wait(5.0, 0.6)])
    assert "took 150 ms" in problem
    assert list(rules.pages_on_time([Wait(5.0, 0.6, delay=0.55, ran=0.05)], QUIET)) == []


def test_long_request_overlaps_with_a_control_request_in_its_middle() -> None:
    assert rules.excess(Wait(0.0, 20.0), [Wait(5.0, 10.0)]) == pytest.approx(10.0)


def test_without_any_request_the_rule_fails() -> None:
    assert list(rules.pages_on_time([], QUIET)) == ["no request for /-/healthy was complete"]


def _page(scheduled: int, failures: int = 0, successes: int | None = None) -> Page:
    done = scheduled - failures if successes is None else successes
    labels = 'target="g0",operation="ping"'
    return Page(
        f"redis_operations_total{{{labels}}} {scheduled}\n"
        f'redis_operation_failures_total{{{labels},reason="skipped"}} {failures}\n'
        f"redis_operation_duration_seconds_count{{{labels}}} {done}\n"
    )


def test_failures_and_missing_outcomes_are_lost_pings() -> None:
    assert rules.lost_pings(_page(10), _page(20), ["g0"]) == {"g0": 0}
    assert rules.lost_pings(_page(10), _page(20, failures=3), ["g0"]) == {"g0": 3}
    assert rules.lost_pings(_page(10), _page(20, successes=18), ["g0"]) == {"g0": 2}


def test_lost_pings_fail_unless_the_machine_explains_them() -> None:
    (problem,) = rules.good_targets_keep_their_pings({"a": 2.0, "b": 0.0}, {"c": 0.0})
    assert problem.startswith("1 good targets lost 2 pings, a 2")
    assert list(rules.good_targets_keep_their_pings({"a": 2.0}, {"c": 2.0})) == []
    assert list(rules.good_targets_keep_their_pings({"a": 2.0}, {}, delay=1.2)) == []


def test_memory_has_a_peak_and_a_ratio() -> None:
    assert list(rules.memory_is_bounded(100, 150, 120, 64)) == []
    assert len(list(rules.memory_is_bounded(100, 165, 120, 64))) == 1
    assert len(list(rules.memory_is_bounded(100, 150, 131, 64))) == 1
    assert list(rules.memory_is_bounded(30, 41, 41, 64)) == [], "an arena of the allocator is no ratio"


def test_line_of_a_page_has_at_most_4_kb() -> None:
    assert list(rules.lines_are_short("a 1\n" + "b" * 4096)) == []
    assert len(list(rules.lines_are_short("ü" * 2049))) == 1


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\r"])
def test_control_and_bidi_characters_are_found(character: str) -> None:
    assert list(rules.no_control_characters("plain ü 日本\n")) == []
    assert len(list(rules.no_control_characters(f"a{character}b"))) == 1


def test_secret_is_named_by_its_number_and_never_shown() -> None:
    problems = list(rules.no_secret(["other", "hunter2"], {"the log": "password hunter2", "/": "fine"}))
    assert problems == ["secret 1 is in the log"]


def test_log_is_small_and_without_faults() -> None:
    assert list(rules.log_is_small(["line"] * 100)) == []
    assert len(list(rules.log_is_small(["x" * 1000] * 300))) == 1
    assert len(list(rules.log_is_small(["Traceback (most recent call last):"]))) == 1


def test_scraper_must_be_served_each_time() -> None:
    assert list(rules.scraper_is_served([0.1, 0.2], [], 10)) == []
    assert list(rules.scraper_is_served([], [], 10)) == ["nothing was scraped"]
    assert "1 of 2 scrapes failed" in next(rules.scraper_is_served([0.1], ["reset"], 10))
    assert "took 11.0 s" in next(rules.scraper_is_served([11.0], [], 10))
