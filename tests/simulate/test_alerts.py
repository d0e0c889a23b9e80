"""The pages of an episode become series for promtool, which evaluates the shipped rules."""

from pathlib import Path

import pytest

from simulate.alerts import RuleSeries
from tests.integration.requirements import need

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def promtool() -> None:
    need("promtool", "prometheus")


def page(up: int) -> str:
    return f'# TYPE redis_up gauge\nredis_up{{target="cart"}} {up}\nredis_unknown{{target="cart"}} 1'


def test_alert_fires_for_a_target_that_is_down(tmp_path: Path) -> None:
    series = RuleSeries()
    for up in (*[1] * 10, *[0] * 10, *[1] * 10):
        series.add(page(up))
    assert ("RedisTargetDown", "cart") in (series.firing(tmp_path) or set())


def test_nothing_fires_for_a_target_that_is_up(tmp_path: Path) -> None:
    series = RuleSeries()
    for _ in range(40):
        series.add(page(1))
    assert series.firing(tmp_path) == set()


def test_series_that_ends_is_stale_at_once(tmp_path: Path) -> None:
    """Otherwise a target that was down and removed would be down for five more minutes."""
    series = RuleSeries()
    for _ in range(3):
        series.add(page(0))
    for _ in range(40):
        series.add("")
    assert series.firing(tmp_path) == set()
