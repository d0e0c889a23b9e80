"""Stalls are counted by cause, and attached to the bucket in which the histogram has their ping."""

from prometheus_client import CollectorRegistry

from redis_pulse.telemetry import ProbeAccuracyMetrics, StallMetrics, TargetMetrics, families
from redis_pulse.telemetry.series import SECONDS_AT_ZERO
from tests.fakes import ManualClock


def test_stall_is_counted_and_becomes_the_exemplar_of_its_ping() -> None:
    clock = ManualClock()
    accuracy = ProbeAccuracyMetrics(CollectorRegistry())
    metrics = TargetMetrics("t", (0.5, 1.0), {"address": "a"}, ["ping"], accuracy, clock=clock)
    stalls = StallMetrics(metrics, 1.0)
    metrics.operation("ping").succeeded(0.3)
    stalls.ended(7, "fork", 1000.0, 0.3)
    metrics.operation("ping").failed("timeout", 1.0)
    stalls.ended(8, "not_running", 2000.0, 3.5)
    metrics.render()
    clock.advance(SECONDS_AT_ZERO)
    page = metrics.render(openmetrics=True)
    assert b'bucket{target="t",operation="ping",le="0.5"} 1 # {stall_id="7"} 0.3 1000.300\n' in page[families.DURATION]
    # The ping of the second stall was observed at its deadline.
    assert b'bucket{target="t",operation="ping",le="1.0"} 2 # {stall_id="8"} 1 2001.000\n' in page[families.DURATION]
    assert b'{target="t",cause="fork"} 1\n' in page[families.STALLS]
    assert b'{target="t",cause="not_running"} 3.5\n' in page[families.STALL_SECONDS]
    assert b'{target="t",cause="fork"} 1000\n' in page[families.STALL_LAST_TIME]
    assert b'{target="t",cause="not_running"} 3.5\n' in page[families.STALL_LAST_SECONDS]
