"""A stall begins with the first ping that is slow, lasts until a reply in time, and is no outage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.stalls.detector import Episode, PingOutcome, StallDetector
from tests.fakes import ManualClock

THRESHOLD = 0.1


@pytest.fixture
def detector() -> StallDetector:
    return StallDetector(THRESHOLD)


def reply(due: float, seconds: float) -> PingOutcome:
    return PingOutcome(due, due + seconds, seconds)


def failure(due: float, reason: str, after: float = 1.0, *, was_sent: bool = True) -> PingOutcome:
    return PingOutcome(due, due + after, None, reason, was_sent)


def test_fast_replies_are_no_stall(detector: StallDetector) -> None:
    assert [detector.observe(reply(due, 0.099)) for due in range(5)] == [None] * 5
    assert detector.running is None


def test_slow_reply_is_a_stall_until_the_next_reply_in_time(detector: StallDetector) -> None:
    assert detector.observe(reply(10.0, 0.6)) is None
    assert detector.running is not None
    ended = detector.observe(reply(11.0, 0.001))
    assert ended is not None
    assert (ended.started, ended.ended, ended.ended_by) == (10.0, pytest.approx(11.001), "reply")
    assert (ended.seconds, ended.slow, ended.timeouts) == (0.6, 1, 0)
    assert detector.running is None


def test_duration_is_the_longest_wait_including_late_replies(detector: StallDetector) -> None:
    for due in (10.0, 11.0, 12.0):
        detector.observe(failure(due, "timeout"))
    detector.late_reply(10.0, 3.2)
    detector.late_reply(11.0, 2.2)
    ended = detector.observe(reply(13.0, 0.2)) or detector.observe(reply(14.0, 0.001))
    assert ended is not None
    assert (ended.seconds, ended.longest_started, ended.slow, ended.timeouts) == (3.2, 10.0, 1, 3)


def test_wait_without_a_reply_lasts_until_the_server_answers_again(detector: StallDetector) -> None:
    """A connection that is silent for 30 s is replaced. The replies to its pings never come."""
    for due in range(10, 55):
        detector.observe(failure(float(due), "timeout"))
    detector.late_reply(45.0, 14.7)
    ended = detector.observe(reply(60.0, 0.001))
    assert ended is not None
    assert (ended.seconds, ended.longest_started) == (pytest.approx(49.7), 10.0)


def test_late_reply_ends_the_wait_of_the_pings_before_it(detector: StallDetector) -> None:
    detector.observe(failure(10.0, "timeout"))
    detector.late_reply(10.0, 1.2)
    detector.observe(reply(20.0, 0.3))
    ended = detector.observe(reply(21.0, 0.001))
    assert ended is not None
    assert ended.seconds == pytest.approx(1.2)


def test_lost_connection_ends_the_wait_without_a_reply(detector: StallDetector) -> None:
    detector.observe(failure(10.0, "timeout"))
    ended = detector.observe(failure(14.0, "reset", after=0.5))
    assert ended is not None
    assert ended.seconds == pytest.approx(4.5)


def test_running_stall_is_seen_while_its_ping_is_overdue(detector: StallDetector) -> None:
    clock = ManualClock(10.1)
    episode = detector.overdue(10.0, clock())
    assert episode is detector.running
    assert detector.overdue(11.0, clock.advance(1.0)) is None
    assert episode is not None
    assert episode.seconds == pytest.approx(0.1)


def test_our_own_delay_is_dropped(detector: StallDetector) -> None:
    """Our timer ran before our reader. By its kernel timestamp the reply came in time."""
    detector.overdue(10.0, 10.5)
    assert detector.observe(reply(10.0, 0.001)) is None
    assert detector.running is None


@pytest.mark.parametrize("reason", ["refused", "dns", "tls", "auth", "unreachable", "reset", "skipped", "rejected"])
def test_outage_begins_no_stall(detector: StallDetector, reason: str) -> None:
    assert detector.observe(failure(10.0, reason)) is None
    assert detector.running is None


def test_ping_that_was_never_sent_begins_no_stall(detector: StallDetector) -> None:
    assert detector.observe(failure(10.0, "timeout", was_sent=False)) is None
    assert detector.running is None


def test_lost_connection_ends_a_stall(detector: StallDetector) -> None:
    detector.overdue(10.0, 10.1)
    ended = detector.observe(failure(10.0, "reset", after=0.7))
    assert ended is not None
    assert (ended.ended_by, ended.slow, ended.seconds) == ("reset", 1, pytest.approx(0.7))


@pytest.mark.parametrize("answer", ["loading", "busy"])
def test_error_reply_of_a_busy_server_is_remembered(detector: StallDetector, answer: str) -> None:
    detector.observe(failure(10.0, answer, after=0.001))
    detector.observe(failure(11.0, answer, after=0.001))
    ended = detector.observe(reply(12.0, 0.001))
    assert ended is not None
    assert ended.ended_by == answer
    assert ended.seconds == pytest.approx(1.001)


OUTCOMES = st.builds(
    PingOutcome,
    due=st.floats(0, 100),
    at=st.floats(100, 200),
    seconds=st.none() | st.floats(0, 5),
    reason=st.none() | st.sampled_from(["timeout", "reset", "refused", "loading", "busy", "skipped", "protocol"]),
    was_sent=st.booleans(),
)


@given(st.lists(OUTCOMES, max_size=40))
def test_every_episode_that_ends_has_a_slow_ping(outcomes: list[PingOutcome]) -> None:
    detector = StallDetector(THRESHOLD)
    ended: list[Episode] = [episode for one in outcomes if (episode := detector.observe(one)) is not None]
    assert all(episode.ended is not None and episode.slow + episode.timeouts > 0 for episode in ended)
