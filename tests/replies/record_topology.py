"""Record what Sentinels, cluster nodes and CONFIG of a real server answer, for tests that need no server:

    PYTHONPATH=. python tests/replies/record_topology.py /usr/bin/redis-server

A primary with a replica and two Sentinels, and two nodes of a cluster, are started on 127.0.0.1. Their replies go into
``tests/replies/<server>-<version>/topology.json``, command → reply. Paths are replaced by plain ones; the primary has
passwords that say what they are, so that a test can look for them where they must not be.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.replies.record import Connection, text

HERE = Path(__file__).parent
PLANTED = "planted-secret"


class Servers:
    """Server processes on ports below 22768, for the cluster bus is at port + 10000."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = random.randrange(13000, 21000)

    def start(self, *options: str, sentinel: bool = False) -> Connection:
        """Start one more and wait until it answers."""
        self.port += 1
        home = self.folder / str(self.port)
        home.mkdir()
        config = home / "server.conf"
        common = ("bind 127.0.0.1", f"port {self.port}", f"dir {home}", "repl-diskless-sync-delay 0")
        lines = (*(common[:3] if sentinel else common), *options)
        config.write_text("\n".join(lines) + "\n")
        command = [self.binary, str(config), *(["--sentinel"] if sentinel else [])]
        self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        for _ in range(100):
            try:
                return Connection(self.port)
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise SystemExit(f"{self.binary} did not start")

    def stop(self) -> None:
        """Kill them all."""
        for process in self.processes:
            process.kill()
            process.wait()


def until(said: str, connection: Connection, *command: str | int) -> None:
    """Ask until the reply holds that."""
    for _ in range(200):
        if said in json.dumps(text(connection.ask(*command))):
            return
        time.sleep(0.05)
    raise SystemExit(f"{command}: never said {said!r}")


def watched(servers: Servers) -> dict[str, Any]:
    """Record CONFIG of a primary, and what a Sentinel says with and without its quorum."""
    secrets = (f"requirepass {PLANTED}", f"masterauth {PLANTED}", f"masteruser {PLANTED}")
    primary = servers.start(*secrets, "user default on nopass ~* &* +@all")
    replica = servers.start(f"replicaof 127.0.0.1 {servers.port}")
    monitor = (f"sentinel monitor mymaster 127.0.0.1 {servers.port - 1} 2", "sentinel resolve-hostnames no")
    sentinel = servers.start(*monitor, sentinel=True)
    servers.start(*monitor, sentinel=True)
    until("master_link_status:up", replica, "INFO", "replication")
    until("2 usable", sentinel, "SENTINEL", "CKQUORUM", "mymaster")
    until('"master-link-status", "ok"', sentinel, "SENTINEL", "SLAVES", "mymaster")
    sentinel.ask("SENTINEL", "CONFIG", "SET", "sentinel-pass", PLANTED)
    commands: list[tuple[str, ...]] = [("SENTINEL", "MASTERS"), ("SENTINEL", "CONFIG", "GET", "*")]
    commands += [("SENTINEL", word, "mymaster") for word in ("CKQUORUM", "SENTINELS", "SLAVES")]
    found = {" ".join(command): sentinel.ask(*command) for command in (("INFO", "everything"), *commands)}
    found["INFO everything"] = found["INFO everything"] or sentinel.ask("INFO")
    sentinel.ask("SENTINEL", "SET", "mymaster", "quorum", 3)
    found["SENTINEL CKQUORUM lost"] = sentinel.ask("SENTINEL", "CKQUORUM", "mymaster")
    return {"CONFIG GET *": primary.ask("CONFIG", "GET", "*"), **found}


def clustered(servers: Servers) -> dict[str, Any]:
    """Record a node that serves all slots and has talked with another one."""
    node = servers.start("cluster-enabled yes")
    for first in range(0, 16384, 1024):
        node.ask("CLUSTER", "ADDSLOTS", *range(first, first + 1024))
    other = servers.start("cluster-enabled yes")
    other.ask("CLUSTER", "MEET", "127.0.0.1", servers.port - 1)
    until("cluster_known_nodes:2", node, "CLUSTER", "INFO")
    until("cluster_state:ok", node, "CLUSTER", "INFO")
    until("messages_ping_received", node, "CLUSTER", "INFO")
    return {"CLUSTER INFO": node.ask("CLUSTER", "INFO")}


def main(binary: str) -> None:
    """Start, record, stop."""
    folder = Path(tempfile.mkdtemp())
    servers = Servers(binary, folder)
    try:
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
        name = "valkey" if "valkey" in version.lower() else "redis"
        number = re.search(r"v=(\d+\.\d+\.\d+)", version)
        assert number, version
        replies = text_of(watched(servers) | clustered(servers))
        plain = json.dumps(replies, indent=1, ensure_ascii=False).replace(str(folder), "/var/lib/server")
        plain = re.sub(r"os:[^\\]*", "os:Linux 6.1.0 x86_64", plain)
        plain = re.sub(r"executable:[^\\]*", "executable:/usr/local/bin/server", plain)
        path = HERE / f"{name}-{number[1]}" / "topology.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(plain + "\n", encoding="utf-8")
        print(path)
    finally:
        servers.stop()
        shutil.rmtree(folder)


def text_of(replies: dict[str, Any]) -> dict[str, Any]:
    """Make all replies fit for JSON."""
    return {command: text(reply) for command, reply in replies.items()}


if __name__ == "__main__":
    main(sys.argv[1])
