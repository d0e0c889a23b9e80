"""The type of a fault, and the settings of the alert rules in the matrix."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grafana.rules.settings import Settings

#: The released rules, with windows and waits 180 times as short: an hour is 20 seconds. Thresholds that would need
#: gigabytes or days are lower. Thresholds that a busy machine would reach without a fault are higher.
SETTINGS = Settings(
    scale=1 / 180,
    scrape_interval="1s",
    poll_interval="2s",
    edge=0.1,
    latency_objective=0.96,
    least_failures=8,
    late=0.3,
    lag_bytes=1_000_000,
    lag_seconds=4.0,
    fill_window="90m",
    slot_cpu=0.1,
    backup_age="10s",
)


def nothing() -> None:
    """Do nothing, because the fault heals by itself."""


@dataclass(frozen=True)
class Fault:
    """A fault. ``name`` is its row in ``EXPECTED``, ``exporter`` the exporter that watches its ``targets``."""

    name: str
    targets: list[dict[str, Any]]
    inject: Callable[[], object]
    heal: Callable[[], object] = nothing
    exporter: str = "exporter"
