"""A real cluster of server processes that meet, share the slots, and replicate their masters."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis

from redis_pulse.parse.cluster_nodes import ClusterNode, parse_nodes
from tests.integration.servers import RealServer, Software, free_port
from tests.patience import Patience

PATIENCE = 20.0
#: Milliseconds of silence after which the other nodes suspect a node.
NODE_TIMEOUT = 1500


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until ``condition()`` is true; ``what`` describes it in the message of a failure."""
    patience = Patience(seconds)
    while True:
        with contextlib.suppress(redis.ConnectionError):
            if condition():
                return
        assert not patience.is_over, f"did not happen within {seconds} s: {what}"
        time.sleep(0.05)


class RealCluster:
    """A cluster with ``replicas`` for each of the ``masters``; ``nodes`` are the masters, then their replicas in order.

    A callable directive is called for each node.
    """

    def __init__(
        self, folder: Path, software: Software, stack: ExitStack, masters: int = 3, replicas: int = 1, **config: Any
    ) -> None:
        self._folder, self._software, self._stack, self._config = folder, software, stack, config
        self.nodes: list[RealServer] = []
        first = [self.start_node() for _ in range(masters)]
        share = 16384 // masters
        for number, node in enumerate(first):
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)  # else the nodes must resolve equal epochs first
            last = 16383 if number == masters - 1 else (number + 1) * share - 1
            node.run("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        replica_nodes = [self.start_node() for _ in range(masters * replicas)]
        for node in self.nodes[1:]:
            self.introduce(node)
        until(
            lambda: all(len(self.seen_by(node)) == len(self.nodes) for node in self.nodes), "each node knows all nodes"
        )
        for number, node in enumerate(replica_nodes):
            node.run("CLUSTER", "REPLICATE", self.id(first[number % masters]))
        self.settle()

    def start_node(self) -> RealServer:
        """Start one more node, which knows no other node yet."""
        name = f"{self._software}-node{len(self.nodes)}"
        config: dict[str, Any] = {
            "cluster_enabled": "yes",
            "cluster_node_timeout": str(NODE_TIMEOUT),
            "cluster_port": str(free_port()),
            **{name: value() if callable(value) else value for name, value in self._config.items()},
        }
        node = self._stack.enter_context(RealServer(self._folder / name, self._software, **config))
        self.nodes.append(node)
        return node

    def introduce(self, node: RealServer) -> None:
        self.nodes[0].run("CLUSTER", "MEET", "127.0.0.1", node.port, int(node.config["cluster-port"]))

    def id(self, node: RealServer) -> str:
        return str(node.run("CLUSTER", "MYID").decode())

    def seen_by(self, node: RealServer) -> dict[str, ClusterNode]:
        """Return the members of the cluster, as one node sees them, by address."""
        nodes = parse_nodes(node.run("CLUSTER", "NODES").decode()).by_id.values()
        return {f"{one.ip}:{one.port}": one for one in nodes if one.ip and one.state != "handshake"}

    def settle(self) -> None:
        """Wait until all nodes agree on roles and slots, the cluster is healthy, and the replicas replicate."""
        until(lambda: len({self._topology(node) for node in self.nodes}) == 1, "all nodes agree")
        until(
            lambda: all(b"cluster_state:ok" in node.run("CLUSTER", "INFO") for node in self.nodes),
            "the cluster is healthy",
        )
        until(lambda: all(self._is_replicating(node) for node in self.nodes), "the replicas replicate")

    def _topology(self, node: RealServer) -> object:
        members = self.seen_by(node).values()
        return frozenset((one.id, one.role, one.master, one.slots, one.state) for one in members)

    def _is_replicating(self, node: RealServer) -> bool:
        replication = node.run("INFO", "replication")
        return bool(replication["role"] == "master" or replication["master_link_status"] == "up")

    def on_all(self, *command: str | int) -> None:
        for node in self.nodes:
            node.run(*command)

    @contextlib.contextmanager
    def without(self, *nodes: RealServer) -> Iterator[None]:
        """Kill some nodes, and start them again at the end."""
        for node in nodes:
            node.kill()
        try:
            yield
        finally:
            for node in nodes:
                node.start()
            self.settle()
