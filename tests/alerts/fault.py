"""What a fault is, and the rules by which it is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grafana.rules.settings import Settings

#: The rules as they are shipped, but for windows and waits, which are 180 times as short: an hour is 20 seconds.
#: Thresholds that would take gigabytes or days are smaller, and those that a busy machine would reach are higher.
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
    backup_age="10s",
)


def nothing() -> None:
    """Heal what heals by itself."""


@dataclass(frozen=True)
class Fault:
    """``name`` is its row in ``expected``; ``targets`` are watched by ``exporter``, most of them by the same one."""

    name: str
    targets: list[dict[str, Any]]
    inject: Callable[[], object]
    heal: Callable[[], object] = nothing
    exporter: str = "exporter"
