"""Since when a target does not answer is known better than to one interval."""

import pytest

from redis_pulse.probe.accounting import DowntimeEstimator


@pytest.fixture
def silence() -> DowntimeEstimator:
    one = DowntimeEstimator(1.0)
    one.answered_at(10.0)
    return one


def test_a_target_that_answers_is_not_silent(silence: DowntimeEstimator) -> None:
    assert silence.since(is_waiting=False) is None
    assert silence.answered == 10.0


def test_the_first_failure_counts_and_the_later_ones_do_not(silence: DowntimeEstimator) -> None:
    for due in (11.0, 12.0, 13.0):
        silence.failed(due)
    assert silence.since(is_waiting=True) == 10.5


def test_a_connection_that_broke_before_says_it_exactly(silence: DowntimeEstimator) -> None:
    silence.lost(10.2)
    silence.failed(11.0)
    silence.lost(11.0)
    assert silence.since(is_waiting=False) == 10.2


def test_a_connection_that_breaks_under_the_first_ping_says_it_too(silence: DowntimeEstimator) -> None:
    silence.lost(11.02)
    silence.failed(11.0)
    assert silence.since(is_waiting=False) == 11.02


def test_a_connection_that_is_being_made_anew_was_lost_before(silence: DowntimeEstimator) -> None:
    silence.lost(10.2)
    assert silence.since(is_waiting=False) is None
    assert silence.since(is_waiting=True) == 10.2


def test_one_that_broke_later_says_nothing(silence: DowntimeEstimator) -> None:
    silence.failed(11.0)
    silence.lost(11.3)
    assert silence.since(is_waiting=False) == 10.5


def test_a_ping_on_its_way_may_be_the_first_that_fails(silence: DowntimeEstimator) -> None:
    assert silence.since(is_waiting=True) == 10.5


def test_an_answer_ends_it(silence: DowntimeEstimator) -> None:
    silence.lost(10.2)
    silence.failed(11.0)
    silence.answered_at(12.0)
    assert silence.since(is_waiting=False) is None
    silence.failed(13.0)
    assert silence.since(is_waiting=False) == 12.5


def test_a_target_that_never_answered_is_silent_since_it_was_asked() -> None:
    never = DowntimeEstimator(1.0)
    assert never.since(is_waiting=True) is None
    never.failed(3.0)
    assert never.since(is_waiting=True) == 3.0
    assert never.answered is None
