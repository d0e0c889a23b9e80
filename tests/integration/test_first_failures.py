"""Two scrapers of different pace both count the first failure of an operation, and ``lean`` has few samples."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Seconds until a failure is counted, for the time at 0, and for two scrapes.
PATIENCE = 40.0
COUNTED = 'redis_operation_failures_total{operation="connect",reason="refused"}'


def test_first_failure_counts_for_each_scraper(
    start_daemon: Callable[..., Daemon], stack: ExitStack, tmp_path: Path
) -> None:
    server = stack.enter_context(RealServer(tmp_path / "server", "valkey"))
    daemon = start_daemon(config={"targets": [{"name": "it", "url": server.url}], "collectors": "lean"})
    daemon.wait_until_up()
    page = daemon.wait_for(lambda page: page.value("redis_collector_success", collector="errorstats") == 1)
    samples = [line for line in page.text.splitlines() if 'target="it"' in line and not line.startswith("#")]
    assert 200 < len(samples) <= 600
    rare = {
        "job_name": "rare",
        "scrape_interval": "7s",
        "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}],
    }
    prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", daemon.port, jobs=[rare]))
    eventually(lambda: len(prometheus.query("redis_up == 1")) == 2, "both jobs have scraped the daemon")
    assert prometheus.query(COUNTED) == []
    server.kill()
    growing = f"increase({COUNTED}[2m]) > 0"
    eventually(lambda: len(prometheus.query(growing)) == 2, "both jobs count the first failures", PATIENCE)
    for series in prometheus.get("query", query=f"{COUNTED}[5m]")["result"]:
        values = [float(value) for _, value in series["values"]]
        assert values[0] == 0
        assert values == sorted(values)
    assert daemon.page().failures("ping", "refused") > 0
