"""The paths of the graphs."""

import re
from collections.abc import Sequence

import pytest

from redis_pulse.status import encode
from redis_pulse.web.pages.geometry import MAX_TINY, area, height_of, runs, spark, step, tiny
from tests.web.pages.scenes import MINUTE, hour_of, stalled_hour


@pytest.mark.parametrize(
    ("seconds", "height"), [(0.000_01, 100), (0.000_05, 100), (0.005, 60), (0.05, 40), (5, 0), (90, 0)]
)
def test_scale_is_logarithmic_from_50_us_to_5_s(seconds: float, height: float) -> None:
    assert height_of(encode(seconds), 0, 100) == pytest.approx(height, abs=0.05)


def tiny_of(rows: Sequence[tuple[int, ...]]) -> dict[str, str]:
    return tiny([row[3] for row in rows], [row[1] for row in rows])


def test_equal_neighbours_are_one_step_and_gaps_are_left_out() -> None:
    low, high = encode(0.00005), encode(5.0)
    assert step([low, low, high, 0, 0, high], 2, 1, 17) == "M0 17h4v-16h2M10 1h2"
    assert step([], 2, 1, 17) == step([0, 0], 2, 1, 17) == ""


def test_step_line_and_height_agree() -> None:
    for seconds in (0.00001, 0.0003, 0.02, 7):
        assert step([encode(seconds)], 1, 1, 17) == f"M0 {height_of(encode(seconds), 1, 17):.0f}h1"


def test_area_is_closed_and_has_gaps() -> None:
    low, high = encode(0.00005), encode(5.0)
    assert area([low, low, 0, low], [high, high, 0, high], 2, 0, 10, 0) == "M0 0H4V10H0zM6 0H8V10H6z"
    assert area([low, high], [high, high], 1, 0, 10, 0) == "M0 0H2V0H1V10H0z"


def test_neighbouring_flags_are_one_block() -> None:
    assert runs([True, True, False, True], 2, 19, 3) == "M0 19h4v3h-4zM6 19h2v3h-2z"


def test_small_graph_shows_failures_and_minutes_without_a_reply() -> None:
    rows = hour_of(failing_since=(MINUTE - 9) * 60.0, reason="refused").rows(MINUTE)
    drawn = spark(rows)
    assert drawn["fail"] == "M100 19h20v3h-20z"
    assert drawn["gap"] == "M100 0h20v18h-20z"
    assert re.fullmatch(r"M0 \d+(h\d+|v-?\d+)+", drawn["line"])


def test_path_of_a_long_list_is_short_whatever_the_latencies() -> None:
    rows = [(60, 0, 1, encode(0.0001 * 13 ** (minute % 2 + minute % 3)), 1, 9, 0) for minute in range(60)]
    assert 0 < len(tiny_of(rows)["line"]) <= MAX_TINY
    quiet = tiny_of(hour_of().rows(MINUTE))
    assert (quiet["fail"], quiet["gap"]) == ("", "")
    assert tiny_of(stalled_hour().rows(MINUTE))["fail"]
