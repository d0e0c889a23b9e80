"""A Sentinel set and a cluster: how to start them, and whether they are healthy."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos import resp
from chaos.certificates import Authority
from chaos.processes import Process, free_port
from chaos.servers import START_TIMEOUT, Server, binary

SLOTS = 16384


def wait_until(condition: Callable[[], bool], description: str, seconds: float = START_TIMEOUT) -> None:
    """Wait until the condition is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, resp.ServerError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"did not happen within {seconds:.0f} s: {description}")
        time.sleep(0.1)


class Sentinel(Process):
    """One Sentinel process."""

    def __init__(self, folder: Path, software: str, master: str, port: int, authority: Authority | None) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self._login = resp.Login(ca_file=authority.ca_file if authority else None)
        lines = [
            *([f"port {self.port}"] if authority is None else _tls_directives(authority, self.port)),
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {master} 127.0.0.1 {port} 2",
            f"sentinel down-after-milliseconds {master} 1000",
            f"sentinel failover-timeout {master} 3000",
        ]
        file = folder / "sentinel.conf"
        file.write_text("\n".join(lines) + "\n")
        super().__init__([binary(software), str(file), "--sentinel"], folder / "sentinel.log")

    def execute(self, *words: str | int) -> object:
        """Send one command, and return the reply."""
        return resp.execute(("127.0.0.1", self.port), *words, login=self._login)


def _tls_directives(authority: Authority, port: int) -> list[str]:
    return [
        *("port 0", f"tls-port {port}", "tls-replication yes", "tls-auth-clients no"),
        f"tls-cert-file {authority.cert_file}",
        f"tls-key-file {authority.key_file}",
        f"tls-ca-cert-file {authority.ca_file}",
    ]


class SentinelSet:
    """A master, two replicas, and three Sentinels that watch it under ``name``."""

    def __init__(self, folder: Path, software: str, name: str, authority: Authority | None = None) -> None:
        self.name, self.authority = name, authority
        settings: dict[str, Any] = {"tls_replication": "yes"} if authority else {}
        self.servers = [Server(folder / "server-0", software, authority=authority, **settings)]
        port = self.servers[0].port
        for number in (1, 2):
            settings["replicaof"] = f"127.0.0.1 {port}"
            self.servers.append(Server(folder / f"server-{number}", software, authority=authority, **settings))
        self.sentinels = [Sentinel(folder / f"sentinel-{n}", software, name, port, authority) for n in range(3)]

    def start(self) -> None:
        """Start all processes, and return when the set is healthy."""
        for server in self.servers:
            server.start()
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(self.is_healthy, "the Sentinel set is healthy", 60)

    def processes(self) -> list[Process]:
        """Return all Sentinels and servers."""
        return [*self.sentinels, *self.servers]

    def master(self) -> Server:
        """Return the master according to most Sentinels. Raises TimeoutError if none replies."""
        ports: list[int] = []
        for sentinel in self.sentinels:
            with contextlib.suppress(OSError, resp.ServerError):
                reply = sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
                ports += [int(reply[1])] if isinstance(reply, list) else []
        if not ports:
            raise TimeoutError("no Sentinel replies")
        port = max(set(ports), key=ports.count)
        return next(server for server in self.servers if server.port == port)

    def replicas(self) -> list[Server]:
        """Return all servers except the master."""
        master = self.master()
        return [server for server in self.servers if server is not master]

    def is_healthy(self) -> bool:
        """Return whether all running servers and Sentinels agree on one master, with all others as its replicas."""
        master = self.master()
        if master.state != "running" or master.info("replication")["role"] != "master":
            return False
        port = str(master.port)
        for server in self.servers:
            if server is not master and server.state == "running":
                replication = server.info("replication")
                link = [replication.get(name) for name in ("role", "master_port", "master_link_status")]
                if link != ["slave", port, "up"]:
                    return False
        return all(self._agrees(sentinel, master) for sentinel in self.sentinels if sentinel.state == "running")

    def _agrees(self, sentinel: Sentinel, master: Server) -> bool:
        reported = _pairs(sentinel.execute("SENTINEL", "MASTER", self.name))
        reply = sentinel.execute("SENTINEL", "REPLICAS", self.name)
        assert isinstance(reply, list)
        replicas = [_pairs(item) for item in reply]
        flags_by_port = {int(replica["port"]): replica["flags"] for replica in replicas}
        alive = {server.port for server in self.servers if server is not master and server.state == "running"}
        others = {server.port for server in self.servers if server is not master}
        return (
            (int(reported["port"]), reported["flags"], reported["num-other-sentinels"]) == (master.port, "master", "2")
            and set(flags_by_port) == others
            and all(flags_by_port[port] == "slave" for port in alive)
        )


def _pairs(reply: object) -> dict[str, str]:
    assert isinstance(reply, list)
    return dict(zip(reply[::2], reply[1::2], strict=True))


class Cluster:
    """Three masters with a replica each."""

    def __init__(self, folder: Path, software: str) -> None:
        self.nodes = [
            Server(
                folder / f"node-{number}",
                software,
                cluster_enabled="yes",
                cluster_node_timeout="1500",
                cluster_port=str(free_port()),
            )
            for number in range(6)
        ]

    def start(self) -> None:
        """Start all nodes, join them to one cluster, and return when it is healthy."""
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for number, node in enumerate(masters):
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.run("CLUSTER", "ADDSLOTSRANGE", number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1)
        for node in self.nodes[1:]:
            first = self.nodes[0]
            node.run("CLUSTER", "MEET", "127.0.0.1", first.port, first.directives["cluster-port"])
        wait_until(lambda: all(len(self.nodes_seen_by(node)) == 6 for node in self.nodes), "all nodes know each other")
        for master, replica in zip(masters, replicas, strict=True):
            replica.run("CLUSTER", "REPLICATE", master.run("CLUSTER", "MYID"))
        wait_until(self.is_healthy, "the cluster is healthy", 60)

    def nodes_seen_by(self, node: Server) -> dict[str, list[str]]:
        """Return the rows of CLUSTER NODES, split into words, by node id. Skip nodes in a handshake."""
        rows = [line.split() for line in node.run("CLUSTER", "NODES").splitlines()]
        return {row[0]: row for row in rows if "handshake" not in row[2]}

    def masters(self) -> list[Server]:
        """Return the running nodes that own slots, according to the first running node."""
        alive = [node for node in self.nodes if node.state == "running"]
        rows = self.nodes_seen_by(alive[0]).values()
        ports = {int(row[1].split("@")[0].split(":")[1]) for row in rows if "master" in row[2] and len(row) > 8}
        return [node for node in alive if node.port in ports]

    def replicas(self) -> list[Server]:
        """Return the running nodes without slots."""
        masters = self.masters()
        return [node for node in self.nodes if node.state == "running" and node not in masters]

    def is_healthy(self) -> bool:
        """Return whether running nodes agree on the topology, serve all slots, and replicas are linked."""
        alive = [node for node in self.nodes if node.state == "running"]
        claims = set()
        for node in alive:
            if "cluster_state:ok" not in node.run("CLUSTER", "INFO"):
                return False
            replication = node.info("replication")
            if replication["role"] == "slave" and replication["master_link_status"] != "up":
                return False
            claims.add(frozenset(_claim(row) for row in self.nodes_seen_by(node).values()))
        failing = sum("fail" in flags for _, flags, _, _ in next(iter(claims)))
        return len(claims) == 1 and failing == 6 - len(alive)


def _claim(row: list[str]) -> tuple[str, str, str, tuple[str, ...]]:
    """Return id, flags, master and slots of a node, without slots that are being moved."""
    return row[0], row[2].replace("myself,", ""), row[3], tuple(word for word in row[8:] if not word.startswith("["))
