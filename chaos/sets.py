"""A Sentinel set and a cluster: how they are made, and whether they are whole."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos import resp
from chaos.certificates import Authority
from chaos.processes import Process, free_port
from chaos.servers import PATIENCE, Server, binary

SLOTS = 16384


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until it is so. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, resp.ServerError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"did not happen within {seconds:.0f} s: {what}")
        time.sleep(0.1)


class Sentinel(Process):
    """One Sentinel process."""

    def __init__(self, folder: Path, software: str, master: str, port: int, authority: Authority | None) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self._login = resp.Login(ca_file=authority.ca_file if authority else None)
        lines = [
            *([f"port {self.port}"] if authority is None else _tls(authority, self.port)),
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {master} 127.0.0.1 {port} 2",
            f"sentinel down-after-milliseconds {master} 1000",
            f"sentinel failover-timeout {master} 3000",
        ]
        file = folder / "sentinel.conf"
        file.write_text("\n".join(lines) + "\n")
        super().__init__([binary(software), str(file), "--sentinel"], folder / "sentinel.log")

    def ask(self, *words: str | int) -> object:
        """Send one command."""
        return resp.ask(("127.0.0.1", self.port), *words, login=self._login)


def _tls(authority: Authority, port: int) -> list[str]:
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
        more: dict[str, Any] = {"tls_replication": "yes"} if authority else {}
        self.servers = [Server(folder / "server-0", software, authority=authority, **more)]
        port = self.servers[0].port
        for number in (1, 2):
            more["replicaof"] = f"127.0.0.1 {port}"
            self.servers.append(Server(folder / f"server-{number}", software, authority=authority, **more))
        self.sentinels = [Sentinel(folder / f"sentinel-{n}", software, name, port, authority) for n in range(3)]

    def start(self) -> None:
        """Start all, and return when it is whole."""
        for server in self.servers:
            server.start()
        for sentinel in self.sentinels:
            sentinel.start()
        until(self.is_whole, "the Sentinel set is whole", 60)

    def processes(self) -> list[Process]:
        """Return all of it."""
        return [*self.sentinels, *self.servers]

    def master(self) -> Server:
        """Return the server to which most Sentinels send clients. Raises TimeoutError."""
        answers: list[int] = []
        for sentinel in self.sentinels:
            with contextlib.suppress(OSError, resp.ServerError):
                reply = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
                answers += [int(reply[1])] if isinstance(reply, list) else []
        if not answers:
            raise TimeoutError("no Sentinel answers")
        port = max(set(answers), key=answers.count)
        return next(server for server in self.servers if server.port == port)

    def replicas(self) -> list[Server]:
        """Return the others."""
        master = self.master()
        return [server for server in self.servers if server is not master]

    def is_whole(self) -> bool:
        """Tell whether all who run agree: one master, which answers as one, with all the others as its replicas."""
        master = self.master()
        if master.state != "running" or master.info("replication")["role"] != "master":
            return False
        port = str(master.port)
        for server in self.servers:
            if server is not master and server.state == "running":
                told = server.info("replication")
                if told["role"] != "slave" or told["master_port"] != port or told["master_link_status"] != "up":
                    return False
        return all(self._agrees(sentinel, master) for sentinel in self.sentinels if sentinel.state == "running")

    def _agrees(self, sentinel: Sentinel, master: Server) -> bool:
        told = _pairs(sentinel.ask("SENTINEL", "MASTER", self.name))
        replicas = sentinel.ask("SENTINEL", "REPLICAS", self.name)
        assert isinstance(replicas, list)
        known = {int(_pairs(one)["port"]): _pairs(one)["flags"] for one in replicas}
        alive = {server.port for server in self.servers if server is not master and server.state == "running"}
        others = {server.port for server in self.servers if server is not master}
        return (
            (int(told["port"]), told["flags"], told["num-other-sentinels"]) == (master.port, "master", "2")
            and set(known) == others
            and all(known[port] == "slave" for port in alive)
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
        """Start all, make them one cluster, and return when it is whole."""
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for number, node in enumerate(masters):
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.run("CLUSTER", "ADDSLOTSRANGE", number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1)
        for node in self.nodes[1:]:
            first = self.nodes[0]
            node.run("CLUSTER", "MEET", "127.0.0.1", first.port, first.directives["cluster-port"])
        until(lambda: all(len(self.seen_by(node)) == 6 for node in self.nodes), "all nodes know each other")
        for master, replica in zip(masters, replicas, strict=True):
            replica.run("CLUSTER", "REPLICATE", master.run("CLUSTER", "MYID"))
        until(self.is_whole, "the cluster is whole", 60)

    def seen_by(self, node: Server) -> dict[str, list[str]]:
        """Return the words of CLUSTER NODES of those that are no strangers, by id."""
        rows = [line.split() for line in node.run("CLUSTER", "NODES").splitlines()]
        return {row[0]: row for row in rows if "handshake" not in row[2]}

    def masters(self) -> list[Server]:
        """Return the running nodes that own slots, as one of them sees it."""
        alive = [node for node in self.nodes if node.state == "running"]
        rows = self.seen_by(alive[0]).values()
        ports = {int(row[1].split("@")[0].split(":")[1]) for row in rows if "master" in row[2] and len(row) > 8}
        return [node for node in alive if node.port in ports]

    def replicas(self) -> list[Server]:
        """Return the running nodes that own none."""
        masters = self.masters()
        return [node for node in self.nodes if node.state == "running" and node not in masters]

    def is_whole(self) -> bool:
        """Tell whether all who run agree who owns what, all slots are served, and replicas follow."""
        alive = [node for node in self.nodes if node.state == "running"]
        claims = set()
        for node in alive:
            if "cluster_state:ok" not in node.run("CLUSTER", "INFO"):
                return False
            told = node.info("replication")
            if told["role"] == "slave" and told["master_link_status"] != "up":
                return False
            claims.add(frozenset(_claim(row) for row in self.seen_by(node).values()))
        failing = sum("fail" in flags for _, flags, _, _ in next(iter(claims)))
        return len(claims) == 1 and failing == 6 - len(alive)


def _claim(row: list[str]) -> tuple[str, str, str, tuple[str, ...]]:
    return row[0], row[2].replace("myself,", ""), row[3], tuple(word for word in row[8:] if not word.startswith("["))
