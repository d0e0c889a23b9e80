"""Every query of every dashboard returns data from a real Prometheus, which scrapes a daemon with many servers.

There are a primary with a replica, a Sentinel, and two nodes of a cluster. One server hung for a while. One target
denies a command, and another one has no server. So every panel has data.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import pytest
import redis

from grafana.build import FOLDER
from grafana.latency_clients import FOREIGN
from grafana.promql import HISTOGRAMS
from grafana.slo_math import burn, good
from grafana.variables import EDGE, OBJECTIVE
from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer, free_port
from tests.integration.test_sentinel_cluster_collectors import sentinel

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: The values that Grafana inserts for these variables if «All» is selected.
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "10m",
    "$objective": OBJECTIVE,
    "$edge": EDGE,
    HISTOGRAMS: "seconds_bucket",
    "$job": ".+",
    "$instance": ".+",
    "$target": ".+",
}
#: The description of a panel that may be empty contains these words and the reason.
MAY_BE_EMPTY = re.compile(r"\bEmpty when \w")
#: Real, working servers never increase these metrics. Their queries are only evaluated.
NEVER_POSITIVE = ("redis_exporter_unreadable_fields_total", "overflowed_values_total")
#: Only a followed cluster or Sentinel set, several daemons, or an invalid entry would have these metrics.
NOT_IN_SCENE = re.compile(
    r"redis_cluster_topology_|redis_exporter_(shard_info|discovery_refused)"
    r"|redis_sentinel_(failovers|master_missing|last_failover|quorum_ok|watch_up|disagreeing)"
    # Collectors that are off by default, and servers with sizes of keys or HOTKEYS (Redis 8).
    r"|redis_keyspace_sample_|redis_slot_|redis_key_size_|redis_hotkeys_"
)

BOARDS: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
PANELS = [
    (f"{board['uid'].rpartition('-')[2]}-{panel['title']}", panel)
    for board in BOARDS
    for outer in board["panels"]
    for panel in (outer, *(outer.get("panels") or ()))
    if panel.get("targets")
]
QUERIES = [
    pytest.param(target["expr"], id=f"{name}-{target['refId']}")
    for name, panel in PANELS
    for target in panel["targets"]
]
NEVER_EMPTY = [pytest.param(panel, id=name) for name, panel in PANELS if not MAY_BE_EMPTY.search(panel["description"])]


class Scene(NamedTuple):
    server: RealServer
    prometheus: Prometheus

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression, after the server had a hit, a miss, an error and a short stall."""
        self.server.run("GET", "there")
        self.server.run("GET", "nowhere")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            self.server.run("LPUSH", "there", "1")
        self.server.run("EVAL", "local s = os.clock() while os.clock() < s + 0.003 do end", 0)
        return self.prometheus.query(with_variables(expression))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("dashboards")
    with ExitStack() as stack:

        def start(name: str, **config: Any) -> RealServer:
            return stack.enter_context(RealServer(folder / name, **config))

        slow = {"latency_monitor_threshold": "1", "slowlog_log_slower_than": "1000"}
        server = start("healthy", maxmemory="64mb", maxclients="50", **slow)
        server.run("SET", "there", "1")
        server.run("BGSAVE")
        replica = start("replica", replicaof=f"127.0.0.1 {server.port}")
        hung = start("hung")
        without_latency = folder / "without_latency.conf"
        without_latency.write_text('rename-command LATENCY ""\n')
        nodes = [start(f"node{number}", cluster_enabled="yes") for number in (1, 2)]
        nodes[0].run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        nodes[0].run("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
        nodes[1].run("ACL", "SETUSER", "watcher", "on", "nopass", "~*", "&*", "+@all", "-slowlog")
        monitor = f"sentinel monitor cart 127.0.0.1 {server.port} 1"
        sentinel_port = stack.enter_context(sentinel(folder / "sentinel", "valkey", monitor))
        plain = start("plain", include=str(without_latency))
        named = {"plain": plain, "healthy": server, "replica": replica, "hung": hung, "node": nodes[0]}
        targets: list[dict[str, Any]] = [{"name": name, "url": target.url} for name, target in named.items()]
        # On the other targets the snapshots would meet closed connections first, and no poll would be sent twice.
        targets[list(named).index("hung")]["stalls"] = {"enabled": True}
        targets += [
            {"name": "denied", "url": nodes[1].url, "username": "watcher", "password": "any"},
            {"name": "sentinel", "url": f"redis://127.0.0.1:{sentinel_port}"},
        ]
        discovery_file = folder / "found.yaml"
        discovery_file.write_text(f"- {{targets: ['127.0.0.1:{free_port()}'], labels: {{__name: dead}}}}\n")
        probe = {"interval": "100ms", "timeout": "300ms", "cold_connect": "500ms"}
        discovery = {"files": [str(discovery_file)]}
        config = {"targets": targets, "probe": probe, "discovery": discovery, "stalls": {"enabled": False}}
        daemon = stack.enter_context(Daemon(folder / "daemon", config=config))
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", daemon.port))
        scene = Scene(server, prometheus)
        eventually(lambda: scene.query("rate(redis_keyspace_hits_total[15s]) > 0"), "two scrapes differ")
        hung.freeze()
        eventually(lambda: scene.query('redis_up{target="hung"} == 0'), "the hung server is down")
        hung.thaw()
        eventually(lambda: scene.query("increase(redis_stalls_total[10m]) > 0"), "the stall is counted", 60)
        _reject_connections(server)
        # Pages show these as 0 at first.
        for counter in ('redis_operation_failures_total{operation!="ping"}', "redis_operation_retries_total"):
            eventually(partial(scene.query, f"increase({counter}[10m]) > 0"), f"{counter} is counted", 60)
        yield scene


def _reject_connections(server: RealServer) -> None:
    """Let the server reject connections for a while, and then close all existing ones."""
    server.run("CONFIG", "SET", "maxclients", 2)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", server.port), timeout=1):
            time.sleep(0.2)
    server.run("CONFIG", "SET", "maxclients", 50)
    server.run("CLIENT", "KILL", "TYPE", "NORMAL")


def with_variables(expression: str) -> str:
    """Insert the values of Grafana's variables, the longest name first."""
    for variable in sorted(VARIABLES, key=len, reverse=True):
        expression = expression.replace(variable, VARIABLES[variable])
    assert "$" not in expression.replace('"$1"', ""), f"unknown variable: {expression}"
    return expression


@pytest.mark.parametrize("expression", QUERIES)
def test_query_returns_data(scene: Scene, expression: str) -> None:
    """Queries of panels that may be empty are tested too. If they were empty here, they would always be empty."""
    if any(metric in expression for metric in (*NEVER_POSITIVE, *FOREIGN)) or NOT_IN_SCENE.search(expression):
        scene.query(expression)
    else:
        eventually(lambda: scene.query(expression), f"returns data: {with_variables(expression)}")


@pytest.mark.parametrize("panel", NEVER_EMPTY)
def test_panel_has_data_for_one_plain_server(scene: Scene, panel: dict[str, Any]) -> None:
    """Only this server is selected. It has no replica, no maxmemory, no keys, no clients and no cluster."""
    queries = [target["expr"].replace("$target", "hung") for target in panel["targets"]]
    eventually(lambda: any(scene.query(query) for query in queries), f"{panel['title']} has data")


@pytest.mark.parametrize("board", BOARDS, ids=[board["uid"] for board in BOARDS])
def test_variables_have_their_values_and_annotations_are_valid(scene: Scene, board: dict[str, Any]) -> None:
    values = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert query
            values[variable["name"]] = scene.prometheus.get(
                f"label/{query[2]}/values", **{"match[]": with_variables(query[1])}
            )
    assert values["job"] == ["redis-pulse"]
    assert len(values["instance"]) == 1
    assert values["target"] == ["dead", "denied", "healthy", "hung", "node", "plain", "replica", "sentinel"]
    assert EDGE in values.get("edge", [EDGE])
    for annotation in board["annotations"]["list"]:
        scene.query(annotation["expr"])


def test_every_target_has_a_row_even_without_some_metrics(scene: Scene) -> None:
    """The dead target, the Sentinel without memory metrics, and targets without maxmemory have rows too."""
    [board] = [board for board in BOARDS if board["uid"] == "redis-pulse-overview"]
    [table] = [panel for panel in board["panels"] if panel["title"] == "All servers"]
    up, identity, *_ = (target["expr"] for target in table["targets"])
    assert len(scene.query(up)) == 8
    by_target = {one["metric"]["target"]: one["metric"] for one in scene.query(identity)}
    assert by_target["healthy"]["server"] == "Valkey"
    assert by_target["healthy"]["version"].startswith("9."), (
        "it must be the version of Valkey, not the compatible version of Redis"
    )
    assert by_target["sentinel"]["role"] == "sentinel"
    [memory] = [target["expr"] for target in table["targets"] if "redis_memory_max_bytes" in target["expr"]]
    ratios = {one["metric"]["target"]: float(one["value"][1]) for one in scene.query(memory)}
    assert 0 < ratios["healthy"] < 1
    assert ratios["node"] == -1, "the table shows -1 as «no maxmemory»"


def test_pings_that_are_not_sent_burn_the_budget_too(scene: Scene) -> None:
    """The breaker of the dead target is mostly open, so its pings are not sent. This is bad for both objectives."""
    for good_share, burn_rate in zip(good("$__range"), burn("$__range"), strict=True):
        shares = {one["metric"]["target"]: float(one["value"][1]) for one in scene.query(good_share)}
        assert shares["dead"] < 0.05
        assert 0.05 < shares["replica"] <= 1
        rates = {one["metric"]["target"]: float(one["value"][1]) for one in scene.query(burn_rate)}
        assert 950 < rates["dead"] <= 1001, "no ping succeeds, which is a thousand times what 99.9 % allows"
    dead = 'target="dead", operation="ping"'
    [bad] = scene.query(f'increase(redis_operation_failures_total{{{dead}, reason="refused"}}[10m])')
    [scheduled] = scene.query(f"increase(redis_operations_total{{{dead}}}[10m])")
    assert float(bad["value"][1]) > 0.9 * float(scheduled["value"][1]) > 0
