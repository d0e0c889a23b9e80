"""A cluster: masters with replicas, failover, migration of slots, and nodes that join and leave."""

import random

from simulate.network import Network
from simulate.replies import encode
from simulate.server import UNKNOWN, ServerConnection, SimulatedServer

SLOTS = 16_384
#: Seconds that a node must be silent until the others consider it failed, and its replica takes over.
NODE_TIMEOUT = 5.0
_CHECK_INTERVAL = 1.0


class ClusterServer(SimulatedServer):
    """One node."""

    role = "cluster"

    def __init__(self, cluster: "SimulatedCluster", *arguments: object) -> None:
        self._cluster = cluster
        #: the master that it follows, or None if it is one
        self.master: ClusterServer | None = None
        self.slots: list[tuple[int, int]] = []
        self.epoch = 0
        super().__init__(*arguments)  # type: ignore[arg-type]  # the arguments of the base class
        self.identity = self.random.randbytes(20).hex()

    def answer(self, connection: ServerConnection, name: str, words: tuple[str, ...]) -> bytes:
        """Return the reply to a command."""
        if name == "CLUSTER":
            match words[1].upper():
                case "NODES":
                    return encode(self._cluster.nodes_text(self))
                case "INFO":
                    return encode(self._cluster.info_text(self))
                case "SHARDS":
                    return UNKNOWN % b"CLUSTER"
        return super().answer(connection, name, words)

    def replication(self) -> str:
        """Return the fields of the section Replication."""
        offset = int(self.network.loop.time() * 10)
        if self.master is None:
            replicas = [node for node in self._cluster.nodes if node.master is self and node.is_up()]
            lines = [
                f"slave{number}:ip={one.host.address},port={one.port},state=online,offset={offset},lag=0"
                for number, one in enumerate(replicas)
            ]
            fields = ["role:master", f"connected_slaves:{len(replicas)}", *lines, f"master_repl_offset:{offset}", ""]
            return "\r\n".join(fields)
        master = self.master
        return (
            f"role:slave\r\nmaster_host:{master.host.address}\r\nmaster_port:{master.port}\r\n"
            f"master_link_status:{'up' if master.is_up() else 'down'}\r\nmaster_last_io_seconds_ago:0\r\n"
            f"master_sync_in_progress:0\r\nslave_repl_offset:{offset}\r\nslave_read_only:1\r\n"
            f"connected_slaves:0\r\nmaster_repl_offset:{offset}\r\n"
        )


class SimulatedCluster:
    """Three masters with one replica each. All nodes that are up have the same view."""

    def __init__(self, network: Network, rng: random.Random, addresses: list[str], software: str) -> None:
        self.network, self._random, self._software = network, rng, software
        self.nodes: list[ClusterServer] = []
        self._down_since: dict[ClusterServer, float] = {}
        self.epoch = 3
        for address in addresses:
            self.nodes.append(self._new_node(address))
        half = len(addresses) // 2
        for number, (master, replica) in enumerate(zip(self.nodes[:half], self.nodes[half:], strict=True)):
            master.slots = [(SLOTS * number // half, SLOTS * (number + 1) // half - 1)]
            master.epoch = number + 1
            replica.master = master
        network.loop.call_later(_CHECK_INTERVAL, self._check)

    def _new_node(self, address: str) -> ClusterServer:
        return ClusterServer(self, self.network, self._random, self.network.add_host(address), 6379, self._software)

    def masters(self) -> list[ClusterServer]:
        """Return the nodes that own slots."""
        return [node for node in self.nodes if node.master is None and node.slots]

    def replicas_of(self, master: ClusterServer) -> list[ClusterServer]:
        """Return the replicas of a node that are up."""
        return [node for node in self.nodes if node.master is master and node.is_up()]

    def add_replica(self, address: str) -> ClusterServer:
        """Let a new node join as a replica."""
        node = self._new_node(address)
        node.master = self._random.choice(self.masters())
        self.nodes.append(node)
        return node

    def remove(self, node: ClusterServer) -> None:
        """Let all nodes forget a replica, and stop it."""
        self.nodes.remove(node)
        self._down_since.pop(node, None)
        node.kill()

    def fail_over(self, master: ClusterServer) -> bool:
        """Promote a replica. Return whether there is one."""
        replicas = self.replicas_of(master)
        if not replicas:
            return False
        new = self._random.choice(replicas)
        self.epoch += 1
        new.master, new.slots, new.epoch = None, master.slots, self.epoch
        master.slots, master.master = [], new
        for node in self.nodes:
            if node.master is master:
                node.master = new
        return True

    def move_slots(self, count: int) -> None:
        """Move slots from one master to another."""
        source, target = self._random.sample(self.masters(), 2)
        first, last = source.slots[0]
        count = min(count, last - first)
        if count > 0:
            source.slots[0] = (first + count, last)
            target.slots.append((first, first + count - 1))
            self.epoch += 1
            target.epoch = self.epoch

    def is_healthy(self) -> bool:
        """Return whether every node runs."""
        return all(node.is_up() for node in self.nodes) and not self._down_since

    def _check(self) -> None:
        now = self.network.loop.time()
        for node in self.nodes:
            if node.is_up():
                self._down_since.pop(node, None)
            else:
                self._down_since.setdefault(node, now)
        for master in self.masters():
            if self._has_failed(master):
                self.fail_over(master)
        self.network.loop.call_later(_CHECK_INTERVAL, self._check)

    def _has_failed(self, node: ClusterServer) -> bool:
        since = self._down_since.get(node)
        return since is not None and self.network.loop.time() - since > NODE_TIMEOUT

    def nodes_text(self, asked: ClusterServer) -> str:
        """Return the reply of a node to CLUSTER NODES."""
        lines = []
        for node in self.nodes:
            flags = ["myself"] if node is asked else []
            flags.append("master" if node.master is None else "slave")
            if self._has_failed(node) and node is not asked:
                flags.append("fail")
            master = "-" if node.master is None else node.master.identity
            link = "disconnected" if "fail" in flags else "connected"
            slots = " ".join(f"{first}-{last}" if first != last else str(first) for first, last in node.slots)
            lines.append(
                f"{node.identity} {node.host.address}:{node.port}@{node.port + 10000} {','.join(flags)} {master} 0 0 "
                f"{node.epoch} {link} {slots}".rstrip()
            )
        return "\n".join(lines) + "\n"

    def info_text(self, asked: ClusterServer) -> str:
        """Return the reply of a node to CLUSTER INFO."""
        failed = sum(
            last - first + 1 for node in self.masters() if self._has_failed(node) for first, last in node.slots
        )
        messages = int(self.network.loop.time() * 2)
        fields = {
            "cluster_state": "fail" if failed else "ok",
            "cluster_slots_assigned": SLOTS,
            "cluster_slots_ok": SLOTS - failed,
            "cluster_slots_pfail": 0,
            "cluster_slots_fail": failed,
            "cluster_known_nodes": len(self.nodes),
            "cluster_size": len(self.masters()),
            "cluster_current_epoch": self.epoch,
            "cluster_my_epoch": asked.epoch,
            "cluster_stats_messages_sent": messages,
            "cluster_stats_messages_received": messages,
            "total_cluster_links_buffer_limit_exceeded": 0,
        }
        return "".join(f"{name}:{value}\r\n" for name, value in fields.items())
