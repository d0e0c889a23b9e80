"""How a scheduled probe ends, its longest recent duration, and the estimated start of a downtime."""

import pytest

from redis_pulse.errors import OperationTimeoutError
from redis_pulse.probe.accounting import DowntimeEstimator, PendingPing, ProbeResult, RollingMax, finish
from redis_pulse.probe.clock import RoundTrip


def test_finished_probe_has_a_duration_only_if_it_succeeded() -> None:
    ping, round_trip, error = PendingPing(10.0, None), RoundTrip(0.25, 0.01), OperationTimeoutError("no answer in time")
    is_stamped = round_trip.clock == "kernel"
    assert finish(ping, 11.0, None, round_trip) == ProbeResult(10.0, 11.0, 0.25, None, False, is_stamped)
    assert finish(ping, 11.0, error, round_trip) == ProbeResult(10.0, 11.0, None, error, False, is_stamped)
    assert finish(ping, 11.0, error) == ProbeResult(10.0, 11.0, None, error, was_sent=False)


def test_value_is_the_longest_of_the_current_and_the_previous_window() -> None:
    longest = RollingMax(15)
    assert longest.value(100) == 0
    longest.observe(100, 0.5)
    longest.observe(101, 0.1)
    assert longest.value(114.9) == 0.5
    longest.observe(116, 0.2)
    assert longest.value(130) == 0.5, "a reader that reads once per window sees every peak"
    assert longest.value(131.5) == 0.2
    assert longest.value(147) == 0


def test_old_peak_is_forgotten_when_nothing_followed() -> None:
    longest = RollingMax(15)
    longest.observe(100, 9.0)
    assert longest.value(1000) == 0
    longest.observe(2000, 0.1)
    assert longest.value(2000) == 0.1


@pytest.fixture
def downtime() -> DowntimeEstimator:
    downtime = DowntimeEstimator(1.0)
    downtime.record_success(10.0)
    return downtime


def test_target_that_answers_is_not_down(downtime: DowntimeEstimator) -> None:
    assert downtime.since(is_waiting=False) is None
    assert downtime.last_success == 10.0


def test_first_failure_counts_and_later_ones_do_not(downtime: DowntimeEstimator) -> None:
    for due in (11.0, 12.0, 13.0):
        downtime.record_failure(due)
    assert downtime.since(is_waiting=True) == 10.5


def test_loss_before_the_first_failure_is_the_start(downtime: DowntimeEstimator) -> None:
    downtime.record_loss(10.2)
    downtime.record_failure(11.0)
    downtime.record_loss(11.0)
    assert downtime.since(is_waiting=False) == 10.2


def test_loss_under_the_first_failed_ping_is_the_start(downtime: DowntimeEstimator) -> None:
    downtime.record_loss(11.02)
    downtime.record_failure(11.0)
    assert downtime.since(is_waiting=False) == 11.02


def test_loss_is_the_start_while_a_ping_waits_for_a_new_connection(downtime: DowntimeEstimator) -> None:
    downtime.record_loss(10.2)
    assert downtime.since(is_waiting=False) is None
    assert downtime.since(is_waiting=True) == 10.2


def test_loss_after_the_first_failure_changes_nothing(downtime: DowntimeEstimator) -> None:
    downtime.record_failure(11.0)
    downtime.record_loss(11.3)
    assert downtime.since(is_waiting=False) == 10.5


def test_unanswered_ping_may_be_the_first_failure(downtime: DowntimeEstimator) -> None:
    assert downtime.since(is_waiting=True) == 10.5


def test_success_ends_the_downtime(downtime: DowntimeEstimator) -> None:
    downtime.record_loss(10.2)
    downtime.record_failure(11.0)
    downtime.record_success(12.0)
    assert downtime.since(is_waiting=False) is None
    downtime.record_failure(13.0)
    assert downtime.since(is_waiting=False) == 12.5


def test_target_that_never_answered_is_down_since_its_first_ping() -> None:
    never = DowntimeEstimator(1.0)
    assert never.since(is_waiting=True) is None
    never.record_failure(3.0)
    assert never.since(is_waiting=True) == 3.0
    assert never.last_success is None
