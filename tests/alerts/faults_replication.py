"""Faults between servers: links, lag, full resynchronisations, masters, Sentinel and Cluster."""

from collections.abc import Iterator
from typing import Any

from tests.alerts.environment import COLLECTORS, Environment, target, wait_until_linked
from tests.alerts.fault import Fault
from tests.integration.servers import RealServer

SENTINEL_SETTINGS = {"collectors": [*COLLECTORS, "sentinel"]}
CLUSTER_SETTINGS = {"collectors": [*COLLECTORS, "cluster"]}


def faults(environment: Environment) -> Iterator[Fault]:
    """Start the servers of these faults, and yield the faults."""
    yield from _links(environment)
    yield from _masters(environment)
    yield from _sentinels(environment)
    yield from _clusters(environment)


def follow(server: RealServer, master: RealServer | None) -> None:
    """Make a server a replica of a master, or a master itself if ``master`` is None."""
    server.run("REPLICAOF", *(("NO", "ONE") if master is None else ("127.0.0.1", master.port)))


def _links(environment: Environment) -> Iterator[Fault]:
    master = environment.server("link-master")
    proxy = environment.proxy(master)
    replica = environment.server("link-replica", replicaof=f"127.0.0.1 {proxy.port}", repl_timeout="5")
    wait_until_linked(replica)

    def cut() -> None:
        proxy.refusing = True
        proxy.reset()

    yield Fault(
        "replica link cut",
        [target("link-master", master), target("link-replica", replica)],
        inject=cut,
        heal=lambda: setattr(proxy, "refusing", False),
    )
    ahead, behind = environment.master_and_replica("lag")

    def cause_lag() -> None:
        behind.freeze()
        for number in range(40):
            ahead.run("SET", f"key:{number}", "x" * 100_000)

    yield Fault(
        "replica lagging",
        [target("lag-master", ahead)],
        inject=cause_lag,
        heal=behind.thaw,
    )
    source, restless = environment.master_and_replica("storm", repl_diskless_sync="yes")

    def resync() -> None:
        follow(restless, None)
        restless.run("SET", "own", "1")
        follow(restless, source)
        wait_until_linked(restless)

    storm = environment.repeating_thread(resync, 1.0)
    yield Fault(
        "full resync storm",
        [target("storm-master", source)],
        inject=storm.start,
        heal=storm.stop,
    )
    yield from _stuck(environment)


def _stuck(environment: Environment) -> Iterator[Fault]:
    """With a delay for each key, the child of the master writes nothing for as long as the fault lasts."""
    master, replica = environment.master_and_replica("stuck", repl_diskless_sync="yes")
    for number in range(100):
        master.run("SET", f"key:{number}", "x" * 100)

    def stick() -> None:
        master.run("CONFIG", "SET", "rdb-key-save-delay", 600_000_000)
        follow(replica, None)
        replica.run("SET", "own", "1")
        follow(replica, master)

    def release() -> None:
        follow(replica, None)
        master.run("CONFIG", "SET", "rdb-key-save-delay", 0)

    yield Fault("full resynchronisation stuck", [target("stuck-replica", replica)], inject=stick, heal=release)


def _masters(environment: Environment) -> Iterator[Fault]:
    def member(name: str, server: RealServer, group: str) -> dict[str, Any]:
        return target(name, server, labels={"replication_group": group})

    lost, orphan = environment.master_and_replica("orphan")
    yield Fault(
        "master killed and not replaced",
        [member("lost-master", lost, "orphans"), member("orphan", orphan, "orphans")],
        inject=lost.kill,
        heal=lost.start,
    )
    first, second = environment.master_and_replica("brain")
    yield Fault(
        "two masters",
        [member("brain-1", first, "brains"), member("brain-2", second, "brains")],
        inject=lambda: follow(second, None),
        heal=lambda: follow(second, first),
    )


def _sentinels(environment: Environment) -> Iterator[Fault]:
    fast = "sentinel down-after-milliseconds {0} 1000", "sentinel failover-timeout {0} 5000"

    def directives(name: str) -> tuple[str, ...]:
        return tuple(one.format(name) for one in fast)

    old, new = environment.master_and_replica("failover")
    port = environment.sentinel("shop", old, *directives("shop"))
    yield Fault(
        "failover by Sentinel",
        [
            target("failover-1", old),
            target("failover-2", new),
            target("failover-sentinel", port, **SENTINEL_SETTINGS),
        ],
        inject=lambda: environment.execute(port, "SENTINEL", "FAILOVER", "shop"),
    )
    doomed = environment.server("doomed")
    watcher = environment.sentinel("doomed", doomed, *directives("doomed"))
    yield Fault(
        "master of Sentinel down, without a replica",
        [target("doomed-sentinel", watcher, **SENTINEL_SETTINGS)],
        inject=doomed.kill,
        heal=doomed.start,
    )
    safe = environment.server("safe")
    lonely = environment.sentinel("safe", safe, *directives("safe"))
    yield Fault(
        "too few Sentinels for the quorum",
        [target("lonely-sentinel", lonely, **SENTINEL_SETTINGS)],
        inject=lambda: environment.execute(lonely, "SENTINEL", "SET", "safe", "quorum", "2"),
        heal=lambda: environment.execute(lonely, "SENTINEL", "SET", "safe", "quorum", "1"),
    )


def _clusters(environment: Environment) -> Iterator[Fault]:
    nodes = environment.cluster("slots")

    def drop() -> None:
        for node in nodes:
            node.run("CLUSTER", "DELSLOTS", "0")

    yield Fault(
        "cluster slot lost",
        [target(f"slots-{number}", node, **CLUSTER_SETTINGS) for number, node in enumerate(nodes)],
        inject=drop,
        heal=lambda: nodes[0].run("CLUSTER", "ADDSLOTS", "0"),
    )
    source, destination, _ = environment.cluster("migration", cluster_node_timeout="600000")

    def migrate() -> None:
        destination.freeze()
        node = identity.decode() if isinstance(identity, bytes) else identity
        source.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, 100, "NODE", node)

    identity = destination.run("CLUSTER", "MYID")
    yield Fault(
        "slot migration stuck",
        [target("migration", source, **CLUSTER_SETTINGS)],
        inject=migrate,
        heal=destination.thaw,
    )
    others = environment.cluster("nodes", cluster_require_full_coverage="no")
    yield Fault(
        "cluster node failed, full coverage not required",
        [target(f"nodes-{number}", node, **CLUSTER_SETTINGS) for number, node in enumerate(others)],
        inject=others[2].kill,
        heal=others[2].start,
    )
