"""Faults between servers: links, lag, full resynchronisations, masters; Sentinel and Cluster."""

from collections.abc import Iterator
from typing import Any

from tests.alerts.environment import COLLECTORS, Stage, linked, target
from tests.alerts.fault import Fault
from tests.integration.servers import RealServer

OF_SENTINEL = {"collectors": [*COLLECTORS, "sentinel"]}
OF_CLUSTER = {"collectors": [*COLLECTORS, "cluster"]}


def faults(stage: Stage) -> Iterator[Fault]:
    """Build their servers, and yield them."""
    yield from _links(stage)
    yield from _masters(stage)
    yield from _sentinels(stage)
    yield from _clusters(stage)


def follow(server: RealServer, master: RealServer | None) -> None:
    """REPLICAOF."""
    server.run("REPLICAOF", *(("NO", "ONE") if master is None else ("127.0.0.1", master.port)))


def _links(stage: Stage) -> Iterator[Fault]:
    master = stage.server("link-master")
    way = stage.proxy(master)
    replica = stage.server("link-replica", replicaof=f"127.0.0.1 {way.port}", repl_timeout="5")
    linked(replica)

    def cut() -> None:
        way.refusing = True
        way.reset()

    yield Fault(
        "replica link cut",
        [target("link-master", master), target("link-replica", replica)],
        inject=cut,
        heal=lambda: setattr(way, "refusing", False),
    )
    ahead, behind = stage.pair("lag")

    def lag() -> None:
        behind.freeze()
        for number in range(40):
            ahead.run("SET", f"key:{number}", "x" * 100_000)

    yield Fault(
        "replica lagging",
        [target("lag-master", ahead)],
        inject=lag,
        heal=behind.thaw,
    )
    source, restless = stage.pair("storm", repl_diskless_sync="yes")

    def resync() -> None:
        follow(restless, None)
        restless.run("SET", "own", "1")
        follow(restless, source)
        linked(restless)

    storm = stage.loop(resync, 1.0)
    yield Fault(
        "full resync storm",
        [target("storm-master", source)],
        inject=storm.start,
        heal=storm.stop,
    )


def _masters(stage: Stage) -> Iterator[Fault]:
    def member(name: str, server: RealServer, group: str) -> dict[str, Any]:
        return target(name, server, labels={"replication_group": group})

    lost, orphan = stage.pair("orphan")
    yield Fault(
        "no master: it was killed, and nobody takes over",
        [member("lost-master", lost, "orphans"), member("orphan", orphan, "orphans")],
        inject=lost.kill,
        heal=lost.start,
    )
    first, second = stage.pair("brain")
    yield Fault(
        "two masters",
        [member("brain-1", first, "brains"), member("brain-2", second, "brains")],
        inject=lambda: follow(second, None),
        heal=lambda: follow(second, first),
    )


def _sentinels(stage: Stage) -> Iterator[Fault]:
    quick = "sentinel down-after-milliseconds {0} 1000", "sentinel failover-timeout {0} 5000"

    def directives(name: str) -> tuple[str, ...]:
        return tuple(one.format(name) for one in quick)

    old, new = stage.pair("failover")
    port = stage.sentinel("shop", old, *directives("shop"))
    yield Fault(
        "failover by Sentinel",
        [
            target("failover-1", old),
            target("failover-2", new),
            target("failover-sentinel", port, **OF_SENTINEL),
        ],
        inject=lambda: stage.ask(port, "SENTINEL", "FAILOVER", "shop"),
    )
    doomed = stage.server("doomed")
    watcher = stage.sentinel("doomed", doomed, *directives("doomed"))
    yield Fault(
        "a master of Sentinel is down, and there is no replica",
        [target("doomed-sentinel", watcher, **OF_SENTINEL)],
        inject=doomed.kill,
        heal=doomed.start,
    )
    safe = stage.server("safe")
    lonely = stage.sentinel("safe", safe, *directives("safe"))
    yield Fault(
        "too few Sentinels for the quorum",
        [target("lonely-sentinel", lonely, **OF_SENTINEL)],
        inject=lambda: stage.ask(lonely, "SENTINEL", "SET", "safe", "quorum", "2"),
        heal=lambda: stage.ask(lonely, "SENTINEL", "SET", "safe", "quorum", "1"),
    )


def _clusters(stage: Stage) -> Iterator[Fault]:
    nodes = stage.cluster("slots")

    def drop() -> None:
        for node in nodes:
            node.run("CLUSTER", "DELSLOTS", "0")

    yield Fault(
        "cluster slot lost",
        [target(f"slots-{number}", node, **OF_CLUSTER) for number, node in enumerate(nodes)],
        inject=drop,
        heal=lambda: nodes[0].run("CLUSTER", "ADDSLOTS", "0"),
    )
    others = stage.cluster("nodes", cluster_require_full_coverage="no")
    yield Fault(
        "cluster node failed, full coverage not required",
        [target(f"nodes-{number}", node, **OF_CLUSTER) for number, node in enumerate(others)],
        inject=others[2].kill,
        heal=others[2].start,
    )
