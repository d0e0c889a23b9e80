"""The last hour of one target: what the cells hold, their memory, and clocks that are set back."""

import sys

import pytest

from redis_pulse.errors import REASONS
from redis_pulse.status import CELLS, Hour, decode, encode


def size_of(hour: Hour) -> int:
    """Return the bytes of an hour and of everything in it."""
    parts = [getattr(hour, name) for name in Hour.__slots__]
    inner = [counts for part in parts if isinstance(part, dict) for counts in part.values()]
    return sum(map(sys.getsizeof, (hour, *parts, *inner)))


def test_code_of_a_latency_has_a_small_error() -> None:
    for exponent in range(-590, 190):
        seconds = 10 ** (exponent / 100)
        decoded = decode(encode(seconds))
        assert decoded is not None
        assert abs(decoded / seconds - 1) < 0.0002
    assert decode(encode(0)) is None
    assert encode(1e9) == encode(1e6) == 65535


def test_minute_holds_its_quantiles_and_failures() -> None:
    hour = Hour(100)
    for number in range(1, 100):
        hour.add(100, number / 1000, closed=True)
    hour.add(100, None, reason="timeout", closed=False)
    cell = hour.cells(100)[-1]
    assert (cell.count, cell.failed, cell.state) == (100, 1, "ok")
    assert (cell.p50, cell.p99, cell.max) == (
        pytest.approx(0.05, 1e-3),
        pytest.approx(0.099, 1e-3),
        pytest.approx(0.099, 1e-3),
    )
    assert cell.not_closed == pytest.approx(0.01, abs=0.002)
    hour.advance(101)
    assert hour.cells(101)[-2] == cell


def test_quiet_target_takes_less_than_two_kilobytes() -> None:
    hour = Hour(0)
    for minute in range(120):
        for second in range(60):
            hour.add(minute, 0.0002 + second / 1e6, closed=True)
    assert size_of(hour) <= 2048


def test_target_with_every_reason_is_bounded() -> None:
    hour = Hour(0)
    for minute in range(200):
        for reason in REASONS:
            for _ in range(40):
                hour.add(minute, None, reason=reason, closed=False)
        for _ in range(2000):
            hour.add(minute, 0.001, closed=True)
    assert size_of(hour) < 8192
    assert set(hour.failures(199)) == set(REASONS)


def test_cells_are_the_last_sixty_minutes_in_order() -> None:
    hour = Hour(0)
    for minute in range(130):
        for _ in range(minute % 7 + 1):
            hour.add(minute, 0.001, closed=True)
    assert [cell.count for cell in hour.cells(129)] == [minute % 7 + 1 for minute in range(70, 130)]


def test_minutes_without_a_ping_are_empty_also_later() -> None:
    hour = Hour(0)
    hour.add(0, 0.001, closed=True)
    hour.add(5, None, reason="refused", closed=True)
    assert [cell.count for cell in hour.cells(5)[-6:]] == [1, 0, 0, 0, 0, 1]
    assert [cell.count for cell in hour.cells(8)[-9:]] == [1, 0, 0, 0, 0, 1, 0, 0, 0]
    assert hour.failures(8)["refused"][-4:] == [1, 0, 0, 0]
    assert len(hour.cells(8)) == len(hour.failures(8)["refused"]) == CELLS


def test_failures_of_an_hour_ago_are_forgotten() -> None:
    hour = Hour(0)
    hour.add(0, None, reason="refused", closed=True)
    hour.add(59, 0.001, closed=True)
    assert hour.failures(59)["refused"][0] == 1
    hour.add(60, 0.001, closed=True)
    assert hour.failures(60) == {}
    hour.add(61, 0.001, closed=True)
    assert size_of(hour) <= 2048


def test_long_gap_empties_everything() -> None:
    hour = Hour(0)
    hour.add(0, 0.5, is_slow=True, closed=True)
    hour.add(0, None, reason="refused", closed=True)
    hour.add(500, 0.001, closed=True)
    assert sum(cell.count for cell in hour.cells(500)) == 1
    assert (hour.failures(500), hour.recent().slow, hour.recent().count) == ({}, 0, 1)


def test_clock_that_is_set_back_changes_nothing_until_it_has_caught_up() -> None:
    hour = Hour(100)
    hour.add(100, 0.001, closed=True)
    hour.add(97, 0.001, closed=True)
    assert hour.cells(100)[-1].count == 2
    assert hour.cells(97)[-1].count == 2


def test_clock_that_is_set_back_by_hours_restarts_the_history() -> None:
    hour = Hour(1000)
    hour.add(1000, 0.001, closed=True)
    hour.add(10, 0.002, closed=True)
    assert [cell.count for cell in hour.cells(10)[-2:]] == [0, 1]


def test_recent_pings_are_those_of_five_minutes_and_the_current_one() -> None:
    hour = Hour(0)
    for minute in range(20):
        hour.add(minute, 0.5, is_slow=True, closed=True)
        hour.add(minute, None, reason="timeout", closed=True)
    recent = hour.recent()
    assert (recent.count, recent.failed, recent.slow) == (12, 6, 6)


def test_cell_keeps_the_worst_state_of_its_minute() -> None:
    hour = Hour(0)
    hour.set_state("down")
    hour.set_state("recovered")
    hour.add(0, 0.001, closed=True)
    assert hour.cells(0)[-1].state == "down"
    hour.advance(1)
    hour.set_state("recovered", is_new_minute=True)
    hour.add(1, 0.001, closed=True)
    assert hour.cells(1)[-1].state == "recovered"
