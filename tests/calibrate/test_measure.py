"""Our pings and the record of the server, joined ping by ping."""

import pytest

from redis_pulse.calibrate.echo import EchoedPing
from redis_pulse.calibrate.measure import Measurement, compare, interval_of
from redis_pulse.client import SentPing
from redis_pulse.errors import OperationTimeoutError
from redis_pulse.probe import ProbeResult

US = 1e-6


def result(number: int, seconds: float | None = 0.001, *, took: float = 0.0, is_stamped: bool = True) -> ProbeResult:
    """Return the result of a ping that was due at 99 s and left at 100 s. Its reply was read 1 ms after it arrived."""
    sent = SentPing(100.0, 5_000_000, took, number, is_stamped)
    error = None if seconds is not None else OperationTimeoutError("no answer in time")
    return ProbeResult(99.0, 100.0 + (seconds or 5) + 0.001, seconds, error, kernel_clock=is_stamped, sent=sent)


def measurement(*results: tuple[int, ProbeResult]) -> Measurement:
    return Measurement(targets=2, seconds=1.0, due=len(results), skipped=0, results=results, waited=None)


def test_error_is_split_at_the_server() -> None:
    record = [EchoedPing(port=1, number=7, arrived=5_002_000, left=5_995_000, held=0.0, by_kernel=True)]
    (ping,) = compare(measurement((1, result(7))), record)
    assert ping.error == pytest.approx(7 * US)
    assert (ping.before, ping.after) == pytest.approx((2 * US, 5 * US))
    assert ping.naive == pytest.approx(1007 * US)
    assert ping.late == pytest.approx(1.0)
    assert (ping.send_by_kernel, ping.reply_by_kernel, ping.record_by_kernel) == (True, True, True)


def test_ping_is_found_by_port_and_number() -> None:
    record = [
        EchoedPing(port=port, number=number, arrived=5_000_000, left=6_000_000, held=held, by_kernel=False)
        for port, number, held in ((1, 7, 0.001), (2, 7, 0.02), (1, 8, 0.005))
    ]
    found = compare(measurement((2, result(7)), (1, result(8)), (1, result(9))), record)
    assert [ping.held for ping in found] == [0.02, 0.005], "the server has no record of the last"


def test_failed_pings_are_counted_by_reason_and_not_compared() -> None:
    record = [EchoedPing(port=1, number=7, arrived=5_000_000, left=6_000_000, held=0.0, by_kernel=True)]
    unsent = ProbeResult(99.0, 100.0, None, OperationTimeoutError("no connection in time"), was_sent=False)
    measured = measurement((1, result(7, None)), (1, unsent))
    assert compare(measured, record) == []
    assert measured.failures == {"timeout": 2}


def test_only_long_sends_without_timestamp_are_uncertain() -> None:
    results = [result(1), result(2, took=0.0001, is_stamped=False), result(3, took=0.004, is_stamped=False)]
    assert measurement(*[(1, one) for one in results]).uncertain == 1


@pytest.mark.parametrize(("targets", "seconds"), [(1, 0.1), (100, 0.1), (1000, 1.0), (2000, 2.0)])
def test_no_more_pings_are_sent_than_a_large_daemon_sends(targets: int, seconds: float) -> None:
    assert interval_of(targets) == seconds
