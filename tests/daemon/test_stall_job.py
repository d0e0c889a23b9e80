"""Snapshots of all targets together are limited, so that pings and pages have CPU time."""

import pytest

from redis_pulse.daemon.stall_job import MAX_SNAPSHOT_RATE, snapshots_in_turn


@pytest.mark.parametrize(
    ("targets", "interval", "taken"),
    [
        (1, 1.0, 12),
        (MAX_SNAPSHOT_RATE, 1.0, 12),
        (MAX_SNAPSHOT_RATE + 1, 1.0, 6),
        (3 * MAX_SNAPSHOT_RATE, 1.0, 4),
        (3 * MAX_SNAPSHOT_RATE, 5.0, 12),
    ],
)
def test_many_targets_get_fewer_snapshots_each(targets: int, interval: float, taken: int) -> None:
    moments: list[float] = []
    snapshot = snapshots_in_turn(moments.append, interval, lambda: targets)
    for number in range(12):
        snapshot(float(number))
    assert len(moments) == taken
    assert moments[0] == 0.0


def test_number_of_targets_may_change() -> None:
    moments: list[float] = []
    targets = MAX_SNAPSHOT_RATE
    snapshot = snapshots_in_turn(moments.append, 1.0, lambda: targets)
    snapshot(0.0)
    targets *= 2
    for number in range(1, 5):
        snapshot(float(number))
    assert moments == [0.0, 2.0, 4.0]
