"""A real Prometheus with native histograms reads our protobuf pages. Its quantiles are compared with the probe log.

Prometheus 2.42 and 3.5.3 were tried. Version 3 interpolates within a bucket exponentially, and version 2 linearly.
"""

import contextlib
import gzip
import http.client
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.probe_log import LoggedProbe, wait_for_log
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer
from tests.protobuf_reader import families

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TARGETS = [f"t{number}" for number in range(10)]
PINGS = 'redis_operation_duration_seconds{operation="ping"}'
CLASSIC_COUNT = 'redis_operation_duration_seconds_count{operation="ping"}'
#: Pings of all targets, so that the quantile 99.9 % is not the longest one. They take two scrapes, which rates need.
ENOUGH = 6000
TIMEOUT = 1.0
ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


class Monitored:
    """Ten targets on one server, and the probe log of the daemon."""

    def __init__(self, daemon: Daemon, prometheus: Prometheus, log: Path) -> None:
        self.daemon, self.prometheus, self.log = daemon, prometheus, log

    def by_target(self, expression: str, at: float | None = None) -> dict[str, float]:
        """Return the value of each target, now or at a Unix time."""
        when = {} if at is None else {"time": str(at)}
        result = self.prometheus.get("query", query=expression, **when)["result"]
        return {series["metric"].get("target", ""): float(series["value"][1]) for series in result}

    def moment_with(self, pings: int) -> float:
        """Wait until all targets have native histograms, of so many pings in total. Return that moment.

        A scrape that fails on a busy machine ends all series for a moment.
        """
        found: list[float] = []

        def has_all() -> bool:
            now = time.time()
            counts = self.by_target(f"histogram_count({PINGS})", now)
            found.append(now)
            return len(counts) == len(TARGETS) and sum(counts.values()) >= pings

        eventually(has_all, f"{pings} pings", 120)
        return found[-1]

    def truth(self, counts: Mapping[str, float]) -> list[float]:
        """Return the durations of the first pings of each target, sorted, as the log has them."""
        found = []
        probes = wait_for_log(self.log, lambda probes: self._has(probes, counts))
        for target, count in counts.items():
            observed = [TIMEOUT if probe.reason else probe.seconds for probe in probes if is_observed(probe, target)]
            found += observed[: int(count)]
        return sorted(found)

    def _has(self, probes: list[LoggedProbe], counts: Mapping[str, float]) -> bool:
        logged = Counter(probe.target for probe in probes if is_observed(probe, probe.target))
        return all(logged[target] >= count for target, count in counts.items())


def is_observed(probe: LoggedProbe, target: str) -> bool:
    """Return whether a histogram of this target has the ping. A timeout is observed at its deadline."""
    return probe.target == target and (
        probe.outcome == "success" or (probe.reason == "timeout" and probe.sent is not None)
    )


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    folder = tmp_path_factory.mktemp("native")
    with ExitStack() as stack:
        server = stack.enter_context(RealServer(folder / "valkey"))
        config: dict[str, Any] = {
            "targets": [{"name": name, "url": server.url, "db": db} for db, name in enumerate(TARGETS)],
            "probe": {"interval": "20ms", "timeout": TIMEOUT},
            "poll": {"interval": "5s", "timeout": "5s", "max_age": "1h"},
            "probe_log": {"file": str(folder / "pings.csv")},
        }
        daemon = stack.enter_context(Daemon(folder / "daemon", config=config))
        job: dict[str, Any] = {"job_name": "redis-pulse", "scrape_interval": "5s", "scrape_timeout": "5s"}
        job["static_configs"] = [{"targets": [f"127.0.0.1:{daemon.port}"]}]
        prometheus = Prometheus(folder / "prometheus", [], jobs=[job], features=["native-histograms"])
        stack.enter_context(prometheus)
        yield Monitored(daemon, prometheus, folder / "pings.csv")


def test_prometheus_reads_native_histograms_beside_classic_ones(monitored: Monitored) -> None:
    """The rules and dashboards that use ``_bucket`` must not lose it when an operator enables native histograms."""
    count = f"histogram_count({PINGS})"
    eventually(lambda: len(monitored.by_target(count)) == len(TARGETS), "native histograms", 60)
    [scrape] = monitored.prometheus.get("targets")["activeTargets"]
    assert (scrape["health"], scrape["lastError"]) == ("up", "")
    now = monitored.moment_with(0)
    assert monitored.by_target(count, now) == monitored.by_target(CLASSIC_COUNT, now)
    assert monitored.by_target('redis_operation_duration_seconds_bucket{operation="ping",le="0.01"}')
    kinds = monitored.prometheus.get("metadata")
    assert kinds["redis_operation_duration_seconds"][0]["type"] == "histogram"
    assert kinds["redis_operations_total"][0]["type"] == "counter"
    assert set(monitored.by_target("redis_up").values()) == {1.0}


def test_quantiles_and_rates_are_those_of_the_pings(monitored: Monitored) -> None:
    """The error is at most 4.4 %, the width of a bucket. Classic buckets would allow much more."""
    now = monitored.moment_with(ENOUGH)
    truth = monitored.truth(monitored.by_target(f"histogram_count({PINGS})", now))
    for quantile in (0.5, 0.99, 0.999):
        [measured] = monitored.by_target(f"histogram_quantile({quantile}, sum({PINGS}))", now).values()
        assert measured == pytest.approx(truth[math.ceil(quantile * len(truth)) - 1], rel=0.05), quantile
    [total] = monitored.by_target(f"sum(histogram_sum({PINGS}))", now).values()
    assert total == pytest.approx(sum(truth), rel=1e-3)
    [native] = monitored.by_target(f"histogram_count(sum(rate({PINGS}[1h])))", now).values()
    [classic] = monitored.by_target(f"sum(rate({CLASSIC_COUNT}[1h]))", now).values()
    assert native == pytest.approx(classic, rel=0.01)


def test_page_obeys_filters_and_compression(monitored: Monitored) -> None:
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
    selected = "/metrics?name[]=redis_up&name[]=redis_memory_used_bytes"

    def found() -> dict[str, int]:
        status, response_headers, body = fetch(monitored.daemon.port, selected, headers)
        assert (status, response_headers["content-encoding"]) == (200, "gzip")
        assert response_headers["content-type"].startswith("application/vnd.google.protobuf; proto=")
        return {family.name: len(family.series) for family in families(gzip.decompress(body))}

    expected = {"redis_up": len(TARGETS), "redis_memory_used_bytes": len(TARGETS)}
    eventually(lambda: found() == expected, "all targets were polled", 120)
    status, _, body = fetch(monitored.daemon.port, "/scrape?target=t3", {"Accept": ACCEPT})
    labels = {one.labels["target"] for family in families(body) for one in family.series}
    assert (status, labels) == (200, {"t3"})


def fetch(port: int, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Send a request, and return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
