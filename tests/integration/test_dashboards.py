"""Every query of every dashboard answers, asked of a real Prometheus that scrapes a daemon with servers of all kinds.

A primary with a replica, a Sentinel, two nodes of a cluster, a server that hung for a while, one that denies us
something, and an address where nobody listens: what a panel can show is there to be shown.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import redis

from grafana.build import FOLDER
from grafana.slo_math import burn, good
from grafana.variables import EDGE, OBJECTIVE
from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer, free_port
from tests.integration.test_sentinel_cluster_collectors import sentinel

pytestmark = pytest.mark.integration

#: What Grafana puts in for these when «All» is chosen.
CHOSEN = {
    "$__rate_interval": "1m",
    "$__range": "10m",
    "$objective": OBJECTIVE,
    "$edge": EDGE,
    "$job": ".+",
    "$instance": ".+",
    "$target": ".+",
}
#: A panel that may rightly show nothing says so with these words, and when.
MAY_BE_EMPTY = re.compile(r"\bEmpty when \w")
#: What nobody can bring about with real servers that work: these queries are only tried.
NEVER_HERE = ("redis_exporter_unreadable_fields_total", "overflowed_values_total")
#: What only a cluster or Sentinel set that is declared as a whole, several daemons, or a bad entry would bring.
NOT_HERE = re.compile(
    r"redis_cluster_topology_|redis_exporter_(shard_info|discovery_refused)"
    r"|redis_sentinel_(failovers|master_missing|last_failover|quorum_ok|watch_up|disagreeing)"
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
ALWAYS = [pytest.param(panel, id=name) for name, panel in PANELS if not MAY_BE_EMPTY.search(panel["description"])]


class Scene(NamedTuple):
    server: RealServer
    prometheus: Prometheus

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression, while the server has something to do: a hit, a miss, a mistake, a stall."""
        self.server.run("GET", "there")
        self.server.run("GET", "nowhere")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            self.server.run("LPUSH", "there", "1")
        self.server.run("EVAL", "local s = os.clock() while os.clock() < s + 0.003 do end", 0)
        return self.prometheus.query(chosen(expression))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("dashboards")
    with ExitStack() as stack:

        def start(name: str, **config: Any) -> RealServer:
            return stack.enter_context(RealServer(folder / name, **config))

        server = start("healthy", maxmemory="64mb", latency_monitor_threshold="1", maxclients="50")
        server.run("SET", "there", "1")
        server.run("BGSAVE")
        replica = start("replica", replicaof=f"127.0.0.1 {server.port}")
        hung = start("hung")
        lacking = folder / "lacking.conf"
        lacking.write_text('rename-command LATENCY ""\n')
        nodes = [start(f"node{number}", cluster_enabled="yes") for number in (1, 2)]
        nodes[0].run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        nodes[0].run("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
        nodes[1].run("ACL", "SETUSER", "watcher", "on", "nopass", "~*", "&*", "+@all", "-slowlog")
        monitor = f"sentinel monitor cart 127.0.0.1 {server.port} 1"
        watching = stack.enter_context(sentinel(folder / "sentinel", "valkey", monitor))
        plain = start("plain", include=str(lacking))
        named = {"plain": plain, "healthy": server, "replica": replica, "hung": hung, "node": nodes[0]}
        targets = [{"name": name, "url": one.url} for name, one in named.items()]
        targets += [
            {"name": "denied", "url": nodes[1].url, "username": "watcher", "password": "any"},
            {"name": "sentinel", "url": f"redis://127.0.0.1:{watching}"},
        ]
        found = folder / "found.yaml"
        found.write_text(f"- {{targets: ['127.0.0.1:{free_port()}'], labels: {{__name: dead}}}}\n")
        probe = {"interval": "100ms", "timeout": "300ms", "cold_connect": "500ms"}
        config = {"targets": targets, "probe": probe, "discovery": {"files": [str(found)]}}
        daemon = stack.enter_context(Daemon(folder / "daemon", config=config))
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", daemon.port))
        made = Scene(server, prometheus)
        eventually(lambda: made.ask("rate(redis_keyspace_hits_total[15s]) > 0"), "two scrapes that differ")
        hung.freeze()
        eventually(lambda: made.ask('redis_up{target="hung"} == 0'), "the hung server is down")
        hung.thaw()
        _crowd(server)
        yield made


def _crowd(server: RealServer) -> None:
    """Fill it with connections, and cut off those that are there."""
    server.run("CONFIG", "SET", "maxclients", 2)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", server.port), timeout=1):
            time.sleep(0.2)
    server.run("CONFIG", "SET", "maxclients", 50)
    server.run("CLIENT", "KILL", "TYPE", "NORMAL")


def chosen(expression: str) -> str:
    """Put in what Grafana puts in for its variables, the longest name first."""
    for variable in sorted(CHOSEN, key=len, reverse=True):
        expression = expression.replace(variable, CHOSEN[variable])
    assert "$" not in expression.replace('"$1"', ""), f"a variable is not known here: {expression}"
    return expression


@pytest.mark.parametrize("expression", QUERIES)
def test_a_panel_has_something_to_show(scene: Scene, expression: str) -> None:
    """Those that may be empty too: what is empty here would be empty always."""
    if any(metric in expression for metric in NEVER_HERE) or NOT_HERE.search(expression):
        scene.ask(expression)
    else:
        eventually(lambda: scene.ask(expression), f"shows a number: {chosen(expression)}")


@pytest.mark.parametrize("panel", ALWAYS)
def test_one_plain_server_leaves_no_panel_blank(scene: Scene, panel: dict[str, Any]) -> None:
    """Chosen alone: no replica, no maxmemory, no keys, no clients, no cluster."""
    queries = [target["expr"].replace("$target", "hung") for target in panel["targets"]]
    eventually(lambda: any(scene.ask(query) for query in queries), f"{panel['title']} shows something")


@pytest.mark.parametrize("board", BOARDS, ids=[board["uid"] for board in BOARDS])
def test_variables_offer_what_there_is_and_annotations_answer(scene: Scene, board: dict[str, Any]) -> None:
    offered = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert found
            offered[variable["name"]] = scene.prometheus.ask(
                f"label/{found[2]}/values", **{"match[]": chosen(found[1])}
            )
    assert offered["job"] == ["redis-pulse"]
    assert len(offered["instance"]) == 1
    assert offered["target"] == ["dead", "denied", "healthy", "hung", "node", "plain", "replica", "sentinel"]
    assert EDGE in offered.get("edge", [EDGE])
    for annotation in board["annotations"]["list"]:
        scene.ask(annotation["expr"])


def test_every_target_has_a_row_whatever_it_does_not_say(scene: Scene) -> None:
    """The dead one, the Sentinel without memory, those without maxmemory: none may fall out of the table."""
    [board] = [board for board in BOARDS if board["uid"] == "redis-pulse-overview"]
    [table] = [panel for panel in board["panels"] if panel["title"] == "All servers"]
    up, identity, *_ = (target["expr"] for target in table["targets"])
    assert len(scene.ask(up)) == 8
    by_target = {one["metric"]["target"]: one["metric"] for one in scene.ask(identity)}
    assert by_target["healthy"]["server"] == "Valkey"
    assert by_target["healthy"]["version"].startswith("9."), "its own version, not the Redis that it says it is"
    assert by_target["sentinel"]["role"] == "sentinel"
    [memory] = [target["expr"] for target in table["targets"] if "redis_memory_max_bytes" in target["expr"]]
    ratios = {one["metric"]["target"]: float(one["value"][1]) for one in scene.ask(memory)}
    assert 0 < ratios["healthy"] < 1
    assert ratios["node"] == -1, "shown as «no maxmemory»"


def test_what_was_never_sent_burns_the_budget_too(scene: Scene) -> None:
    """The breaker of the dead target is open most of the time; a ping that is not sent is bad for both objectives."""
    for kept, burnt in zip(good("$__range"), burn("$__range"), strict=True):
        share = {one["metric"]["target"]: float(one["value"][1]) for one in scene.ask(kept)}
        assert share["dead"] < 0.05
        assert 0.05 < share["replica"] <= 1
        rates = {one["metric"]["target"]: float(one["value"][1]) for one in scene.ask(burnt)}
        assert 950 < rates["dead"] <= 1001, "nothing is good: a thousand times what 99.9 % allows"
    dead = 'target="dead", operation="ping"'
    [bad] = scene.ask(f'increase(redis_operation_failures_total{{{dead}, reason="refused"}}[10m])')
    [scheduled] = scene.ask(f"increase(redis_operations_total{{{dead}}}[10m])")
    assert float(bad["value"][1]) > 0.9 * float(scheduled["value"][1]) > 0
