"""The states of a target: when each begins and ends, and what is remembered of it."""

import pytest

from redis_pulse.errors import (
    AuthError,
    ConnectionRefusedByTargetError,
    LoadingError,
    OperationTimeoutError,
    RejectedError,
    SkippedError,
    TargetError,
)
from redis_pulse.status import Risk, StatusRegistry
from redis_pulse.status.target_status import RECOVERED

OBJECTIVE = 0.01


class StatusHarness:
    """One target that is pinged once a second."""

    def __init__(self) -> None:
        self.now = 6000.0
        self.registry = StatusRegistry(lambda: self.now)
        self.status = self.registry.watch("cart", OBJECTIVE)

    def pings(
        self, count: int = 1, seconds: float = 0.0002, error: TargetError | None = None, *, sent: bool = True
    ) -> None:
        for _ in range(count):
            self.now += 1
            self.status.has_connection = lambda: sent
            self.status.on_probe(None if error else seconds, error)

    def refuse(self, count: int = 1) -> None:
        self.pings(count, error=ConnectionRefusedByTargetError("nothing listens there"), sent=False)

    @property
    def state(self) -> str:
        return self.status.state

    @property
    def events(self) -> list[tuple[str, str | None]]:
        return [(event.text, event.state) for event in reversed(self.registry.events.of(self.status.owner))]


@pytest.fixture
def harness() -> StatusHarness:
    return StatusHarness()


def test_new_target_is_starting_then_ok_since_the_start(harness: StatusHarness) -> None:
    assert (harness.state, harness.status.since_start) == ("starting", True)
    harness.pings()
    assert (harness.state, harness.status.since, harness.status.since_start) == ("ok", 6001, True)
    assert harness.events == []


def test_refused_connection_is_down_since_the_first_failure(harness: StatusHarness) -> None:
    harness.pings(10)
    harness.refuse(30)
    assert (harness.state, harness.status.since, harness.status.since_start) == ("down", 6011, False)
    assert harness.status.failure is not None
    assert harness.status.failure.reason == "refused"
    assert harness.events == [("refused: nothing listens there", "down")]


def test_target_that_was_down_from_the_start_says_so(harness: StatusHarness) -> None:
    harness.refuse(3)
    assert (harness.state, harness.status.since_start) == ("down", True)


def test_rejected_ping_keeps_the_reason_that_opened_the_breaker(harness: StatusHarness) -> None:
    harness.pings(5, error=AuthError("WRONGPASS"), sent=False)
    harness.pings(20, error=RejectedError("the circuit breaker is open"), sent=False)
    assert harness.state == "down"
    assert harness.status.failure is not None
    assert harness.status.failure.reason == "auth"


def test_skipped_ping_says_nothing_about_the_target(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.pings(50, error=SkippedError("late"), sent=False)
    assert harness.state == "ok"
    assert (
        harness.status.hour.count + sum(cell.count for cell in harness.status.hour.cells(int(harness.now // 60))[:-1])
        == 5
    )


def test_timeout_on_a_connection_is_a_stall_and_without_one_it_is_down(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.pings(2, error=OperationTimeoutError("no answer in time"))
    assert harness.state == "stalled"
    harness.pings(1, error=OperationTimeoutError("no connection in time"), sent=False)
    assert harness.state == "down"


def test_overdue_ping_is_a_stall_until_it_is_answered(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.status.on_overdue()
    assert (harness.state, harness.events) == ("stalled", [])
    harness.pings(1, seconds=0.4)
    assert harness.state == "recovered"
    assert harness.status.last_trouble is not None
    assert harness.status.last_trouble[0] == "stalled"


def test_target_is_well_again_for_a_quarter_of_an_hour(harness: StatusHarness) -> None:
    harness.pings(10)
    harness.refuse(20)
    harness.pings()
    ended = harness.now
    assert (harness.state, harness.status.since) == ("recovered", ended)
    harness.pings(int(RECOVERED) - 61)
    assert harness.state == "recovered"
    harness.pings(120)
    assert harness.state == "ok"
    assert [state for _, state in harness.events] == ["down", "recovered", "ok"]


def test_two_outages_within_five_minutes_are_unsteady(harness: StatusHarness) -> None:
    harness.pings(60)
    for _ in range(2):
        harness.refuse(2)
        harness.pings(30)
    assert harness.state == "unsteady"
    harness.pings(500)
    assert harness.state == "recovered"


def test_one_long_outage_is_not_unsteady(harness: StatusHarness) -> None:
    harness.pings(60)
    harness.refuse(120)
    harness.pings(5)
    assert harness.state == "recovered"


def test_slow_replies_are_slow_until_five_minutes_are_fast(harness: StatusHarness) -> None:
    harness.pings(60)
    harness.pings(5, seconds=0.05)
    assert harness.state == "slow"
    harness.pings(400)
    assert harness.state == "recovered"


def test_two_slow_pings_of_the_first_minute_are_not_slow(harness: StatusHarness) -> None:
    harness.pings(2, seconds=0.05)
    harness.pings(10)
    assert harness.state == "ok"


def test_two_stalls_within_a_quarter_of_an_hour_are_slow(harness: StatusHarness) -> None:
    harness.pings(60)
    harness.status.on_stall(harness.now, "a stall of 0.3 s ended, cause command")
    assert harness.state == "ok"
    harness.pings(200)
    harness.status.on_stall(harness.now, "a stall of 0.4 s ended, cause command")
    assert harness.state == "slow"
    harness.pings(960)
    assert harness.state == "recovered"


def test_risk_lasts_until_the_condition_is_gone(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.status.on_polled([Risk("memory", {"percent": "96"})], limited=False)
    assert harness.state == "risk"
    harness.status.on_polled([], limited=False)
    assert harness.state == "recovered"


def test_failing_collector_limits_only_a_target_without_trouble(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.status.on_polled([], limited=True)
    assert harness.state == "limited"
    harness.refuse()
    assert harness.state == "down"
    harness.pings()
    assert harness.state == "recovered"


def test_first_loading_is_starting_and_a_later_one_is_down(harness: StatusHarness) -> None:
    harness.pings(3, error=LoadingError("LOADING"))
    assert harness.state == "starting"
    harness.pings()
    harness.pings(1, error=LoadingError("LOADING"))
    assert harness.state == "down"


def test_breaker_restart_and_role_are_events(harness: StatusHarness) -> None:
    harness.status.breaker_changed("closed", "open")
    harness.status.breaker_changed("open", "half_open")
    harness.status.breaker_changed("half_open", "open")
    harness.status.breaker_changed("half_open", "closed")
    harness.status.on_server("master", 100.0)
    harness.status.on_server("slave", 115.0)
    harness.status.on_server("slave", 2.0)
    harness.status.on_server("", None)
    assert [text for text, _ in harness.events] == [
        "the circuit breaker opened",
        "the circuit breaker closed",
        "the role changed from master to slave",
        "the server restarted: its uptime began again",
    ]


def test_reload_keeps_the_history_and_a_removed_target_loses_it(harness: StatusHarness) -> None:
    harness.pings(10)
    assert harness.registry.watch("cart", 0.5) is harness.status
    harness.pings(10, seconds=0.4)
    assert harness.state == "ok"
    harness.refuse()
    harness.registry.forget("cart")
    assert harness.registry.get("cart") is None
    assert list(harness.registry.events.newest(0)) == []
    harness.registry.forget("cart")


def test_ping_that_was_not_tried_keeps_the_stall_that_it_follows(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.pings(5, error=OperationTimeoutError("no answer in time"))
    harness.pings(50, error=OperationTimeoutError("no answer in time").untried())
    assert harness.state == "stalled"
    harness.pings(1, error=OperationTimeoutError("no answer in time").untried(), sent=False)
    assert harness.state == "down"


def test_short_stall_is_no_event_and_one_that_times_out_is(harness: StatusHarness) -> None:
    harness.pings(5)
    harness.status.on_overdue()
    harness.pings(2, error=OperationTimeoutError("no answer in time"))
    assert harness.events == [("timeout: no answer in time", "stalled")]
