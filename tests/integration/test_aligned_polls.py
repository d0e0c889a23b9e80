"""Two real Prometheus servers with different periods scrape a daemon, and each gets fresh samples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.alone]

#: Short periods, so that the test is short. Both have the address and the user agent of this machine.
PERIODS = (2, 3)


def scraped_every(seconds: int, daemon: Daemon) -> dict[str, Any]:
    interval = f"{seconds}s"
    static = [{"targets": [f"127.0.0.1:{daemon.port}"]}]
    return {"job_name": "it", "scrape_interval": interval, "scrape_timeout": interval, "static_configs": static}


def are_learned(prometheus: Prometheus) -> bool:
    """Return whether the daemon knows both periods. A request that is late at the start gives another one at first.

    Both come from one address. If they meet every 6 s, that request counts once, and 6 s are learned.
    """
    periods = prometheus.query("sort(redis_exporter_scraper_period_seconds)")
    known = [round(float(series["value"][1]), 1) for series in periods]
    return len(known) == 2 and (known[0], known[1] % PERIODS[1]) == (PERIODS[0], 0.0)


def test_polls_follow_two_prometheus_servers(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The grid of 15 s would give 7.5 s on average. The histogram of the daemon must agree with Prometheus."""
    targets: list[dict[str, str]] = [{"name": name, "url": start_server(name).url} for name in ("valkey", "redis")]
    poll = {"interval": "15s", "min_interval": "500ms", "timeout": "1s"}
    daemon = start_daemon(config={"targets": targets, "poll": poll})
    for target in targets:
        daemon.wait_until_up(target["name"])
    servers = [
        Prometheus(tmp_path / f"prometheus{period}", (), jobs=[scraped_every(period, daemon)]) for period in PERIODS
    ]
    with servers[0], servers[1]:
        for prometheus in servers:
            eventually(
                lambda prometheus=prometheus: prometheus.query("count(redis_exporter_scraper_locked == 1) == 2"),  # type: ignore[misc]
                "both scrapers are locked",
                60,
            )
        eventually(lambda: are_learned(servers[0]), "both periods are learned", 60)
        age = 'max(max_over_time(redis_sample_age_seconds{collector="info"}[6s])) < 1.5'
        for prometheus in servers:
            eventually(lambda prometheus=prometheus: prometheus.query(age), "six seconds with fresh samples", 60)  # type: ignore[misc]
        name = "redis_exporter_sample_age_at_scrape_seconds"
        fresh = f'increase({name}_bucket{{le="1.5"}}[6s]) == ignoring(le) increase({name}_count[6s]) > 0'
        eventually(lambda: servers[0].query(fresh), "the histogram has fresh samples only", 60)
    assert all(daemon.page().up(target["name"]) == 1 for target in targets)
