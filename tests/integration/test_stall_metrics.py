"""A real Prometheus counts the first stall of a cause, and returns the stall as an exemplar of its ping."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Seconds for the record, for the time at 0, and for two scrapes.
PATIENCE = 40.0


def test_first_stall_counts_and_is_an_exemplar(
    start_daemon: Callable[..., Daemon], stack: ExitStack, tmp_path: Path
) -> None:
    server = stack.enter_context(RealServer(tmp_path / "server", "valkey"))
    daemon = start_daemon(
        config={
            "probe": {"interval": "200ms", "timeout": "5s"},
            "stalls": {"enabled": True, "threshold": "500ms"},
            "targets": [{"name": "it", "url": server.url}],
        }
    )
    daemon.wait_until_up()
    prometheus = stack.enter_context(
        Prometheus(tmp_path / "prometheus", daemon.port, features=["exemplar-storage"], every="1s")
    )
    eventually(lambda: prometheus.query("redis_up == 1"), "Prometheus has scraped the daemon")
    time.sleep(3)  # snapshots from before
    began = time.time()
    server.freeze()
    time.sleep(1.2)
    server.thaw()
    eventually(lambda: [one for one in daemon.json("/stalls?target=it") if one["cause"]], "the stall has a cause")
    [record] = daemon.json("/stalls?target=it")
    increase = f"increase(redis_stalls_total{{cause='{record['cause']}'}}[2m])"
    [series] = eventually(lambda: prometheus.query(f"{increase} > 0"), "the first stall counts", PATIENCE)
    assert float(series["value"][1]) > 0.9
    counted = prometheus.get("query", query=f"redis_stalls_total{{cause='{record['cause']}'}}[5m]")["result"]
    values = [value for _, value in counted[0]["values"]]
    assert values[0] == "0"
    assert values[-1] == "1"

    def exemplars() -> list[dict[str, Any]]:
        """Return the exemplars. The series of the bucket are in the page from the start."""
        return list(
            prometheus.get(
                "query_exemplars",
                query="redis_operation_duration_seconds_bucket",
                start=str(began - 60),
                end=str(time.time() + 60),
            )
        )

    [found] = eventually(exemplars, "Prometheus returns the exemplar")
    assert found["seriesLabels"]["operation"] == "ping"
    assert found["seriesLabels"]["target"] == "it"
    [exemplar] = found["exemplars"]
    assert exemplar["labels"] == {"stall_id": str(record["id"])}
    waited = float(exemplar["value"])
    assert waited == pytest.approx(record["seconds"], abs=1e-4)
    assert waited <= float(found["seriesLabels"]["le"])
    assert began - 1 < exemplar["timestamp"] < time.time()
    assert "stall_id" not in daemon.page().text
