"""Record the replies of real Sentinels, cluster nodes and CONFIG, for tests without a server:

    PYTHONPATH=. python tests/replies/record_topology.py /usr/bin/redis-server

The script starts a primary with a replica and two Sentinels, and two nodes of a cluster, on 127.0.0.1. It writes the
replies into ``tests/replies/<server>-<version>/topology.json``, by command. Paths are replaced by neutral ones. The
primary has known passwords, so that tests can check that they are not published.
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

from tests.replies.record import Connection, to_json

HERE = Path(__file__).parent
PLANTED = "planted-secret"


class Servers:
    """Server processes on ports below 22768, because the cluster bus is at port + 10000."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = random.randrange(13000, 21000)

    def start(self, *options: str, sentinel: bool = False) -> Connection:
        """Start one more server, wait until it accepts connections, and return a connection."""
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
        """Kill all servers."""
        for process in self.processes:
            process.kill()
            process.wait()


def wait_until(expected: str, connection: Connection, *command: str | int) -> None:
    """Repeat a command until its reply contains the expected text."""
    for _ in range(200):
        if expected in json.dumps(to_json(connection.execute(*command))):
            return
        time.sleep(0.05)
    raise SystemExit(f"{command}: no reply with {expected!r}")


def record_sentinel(servers: Servers) -> dict[str, Any]:
    """Return the replies to CONFIG of a primary, and those of a Sentinel with and without its quorum."""
    secrets = (f"requirepass {PLANTED}", f"masterauth {PLANTED}", f"masteruser {PLANTED}")
    primary = servers.start(*secrets, "user default on nopass ~* &* +@all")
    replica = servers.start(f"replicaof 127.0.0.1 {servers.port}")
    monitor = (f"sentinel monitor mymaster 127.0.0.1 {servers.port - 1} 2", "sentinel resolve-hostnames no")
    sentinel = servers.start(*monitor, sentinel=True)
    servers.start(*monitor, sentinel=True)
    wait_until("master_link_status:up", replica, "INFO", "replication")
    wait_until("2 usable", sentinel, "SENTINEL", "CKQUORUM", "mymaster")
    wait_until('"master-link-status", "ok"', sentinel, "SENTINEL", "SLAVES", "mymaster")
    sentinel.execute("SENTINEL", "CONFIG", "SET", "sentinel-pass", PLANTED)
    commands: list[tuple[str, ...]] = [("SENTINEL", "MASTERS"), ("SENTINEL", "CONFIG", "GET", "*")]
    commands += [("SENTINEL", word, "mymaster") for word in ("CKQUORUM", "SENTINELS", "SLAVES")]
    replies = {" ".join(command): sentinel.execute(*command) for command in (("INFO", "everything"), *commands)}
    replies["INFO everything"] = replies["INFO everything"] or sentinel.execute("INFO")
    sentinel.execute("SENTINEL", "SET", "mymaster", "quorum", 3)
    replies["SENTINEL CKQUORUM lost"] = sentinel.execute("SENTINEL", "CKQUORUM", "mymaster")
    return {"CONFIG GET *": primary.execute("CONFIG", "GET", "*"), **replies}


def record_cluster(servers: Servers) -> dict[str, Any]:
    """Return the reply of a node that serves all slots and has exchanged messages with another node."""
    node = servers.start("cluster-enabled yes")
    for first in range(0, 16384, 1024):
        node.execute("CLUSTER", "ADDSLOTS", *range(first, first + 1024))
    other = servers.start("cluster-enabled yes")
    other.execute("CLUSTER", "MEET", "127.0.0.1", servers.port - 1)
    wait_until("cluster_known_nodes:2", node, "CLUSTER", "INFO")
    wait_until("cluster_state:ok", node, "CLUSTER", "INFO")
    wait_until("messages_ping_received", node, "CLUSTER", "INFO")
    return {"CLUSTER INFO": node.execute("CLUSTER", "INFO")}


def main(binary: str) -> None:
    """Start the servers, record the replies, stop the servers."""
    folder = Path(tempfile.mkdtemp())
    servers = Servers(binary, folder)
    try:
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
        name = "valkey" if "valkey" in version.lower() else "redis"
        number = re.search(r"v=(\d+\.\d+\.\d+)", version)
        assert number, version
        replies = record_sentinel(servers) | record_cluster(servers)
        replies = {command: to_json(reply) for command, reply in replies.items()}
        text = json.dumps(replies, indent=1, ensure_ascii=False).replace(str(folder), "/var/lib/server")
        text = re.sub(r"os:[^\\]*", "os:Linux 6.1.0 x86_64", text)
        text = re.sub(r"executable:[^\\]*", "executable:/usr/local/bin/server", text)
        path = HERE / f"{name}-{number[1]}" / "topology.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
        print(path)
    finally:
        servers.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1])
