"""Where faults happen: servers, proxies and loops that live until the stage is left."""

import contextlib
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import redis

from tests.integration.prometheus import eventually
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, Software, binary, free_port

#: What every target is asked for.
COLLECTORS = ["info", "errorstats"]


class Loop:
    """Does something again and again in a thread of its own; errors of Redis are what it is for."""

    def __init__(self, what: Callable[[], object], pause: float) -> None:
        self._what, self._pause = what, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            with contextlib.suppress(redis.RedisError, OSError):
                self._what()


class Stage:
    """Starts what a fault needs, and ends it all when it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def place(self, name: str) -> Path:
        """A folder of one's own."""
        self._count += 1
        return self.folder / f"{self._count}-{name}"

    def server(self, name: str, software: Software = "redis", **config: Any) -> RealServer:
        """A server that answers."""
        return self._stack.enter_context(RealServer(self.place(name), software, **config))

    def pair(self, name: str, **config: Any) -> tuple[RealServer, RealServer]:
        """A master and its replica, which has its data."""
        master = self.server(f"{name}-master", **config)
        replica = self.server(f"{name}-replica", replicaof=f"127.0.0.1 {master.port}", **config)
        linked(replica)
        return master, replica

    def proxy(self, server: RealServer) -> Proxy:
        """A way to a server that can be made bad."""
        return self._stack.enter_context(Proxy(server.port, free_port()))

    def loop(self, what: Callable[[], object], pause: float = 0.2) -> Loop:
        """Something to be done again and again, once it is started."""
        made = Loop(what, pause)
        self._stack.callback(made.stop)
        return made

    def client(self, server: RealServer) -> redis.Redis:
        """A client of its own, for a loop: the server's ``admin`` belongs to the test's thread."""
        made = redis.Redis(unix_socket_path=str(server.folder / "admin.sock"), protocol=2, socket_timeout=5)
        self._stack.callback(made.close)
        return made

    def sentinel(self, name: str, master: RealServer, *directives: str) -> int:
        """A Sentinel that watches a master under its name; return its port."""
        folder = self.place(f"sentinel-{name}")
        folder.mkdir(parents=True)
        port = free_port()
        watch = f"sentinel monitor {name} 127.0.0.1 {master.port} 1"
        lines = (f"port {port}", "bind 127.0.0.1", f"dir {folder}", watch, *directives)
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        with (folder / "log").open("wb") as log:
            command = [binary("redis"), str(folder / "sentinel.conf"), "--sentinel"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return port

    @staticmethod
    def ask(port: int, *command: str) -> object:
        """Send one command to a port, as whoever comes by."""
        with redis.Redis(port=port, protocol=2, socket_timeout=5) as client:
            return client.execute_command(*command)

    def cluster(self, name: str, **config: Any) -> list[RealServer]:
        """Three masters that share all slots."""
        config = {"cluster_enabled": "yes", "cluster_node_timeout": "2000"} | config
        nodes = [self.server(f"{name}-{number}", "valkey", **config) for number in range(3)]
        for node, (first, last) in zip(nodes, ((0, 5460), (5461, 10922), (10923, 16383)), strict=True):
            node.run("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in nodes[1:]:
            node.run("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        for node in nodes:
            eventually(lambda node=node: whole(node), f"{name} is one", 30)  # type: ignore[misc]
        return nodes


def linked(replica: RealServer) -> None:
    """Wait until a replica has its master's data."""
    eventually(lambda: says(replica, "INFO", "replication")["master_link_status"] == "up", "the replica is linked", 30)


def whole(node: RealServer) -> bool:
    """Whether a node says that its cluster is well."""
    found = says(node, "CLUSTER", "INFO")
    return (found["cluster_state"], found["cluster_known_nodes"]) == ("ok", "3")


def says(server: RealServer, *command: str) -> dict[str, str]:
    """What a command of the kind of INFO answers."""
    found = server.run(*command)
    if isinstance(found, bytes):
        return dict(line.split(":", 1) for line in found.decode().splitlines() if ":" in line)
    return {str(name): str(value) for name, value in found.items()}


def target(name: str, where: RealServer | Proxy | int, **settings: Any) -> dict[str, Any]:
    """A target of the exporter, as its configuration has it."""
    if isinstance(where, RealServer):
        url = where.url
    else:
        url = f"redis://127.0.0.1:{where.port if isinstance(where, Proxy) else where}"
    return {"name": name, "url": url, "collectors": COLLECTORS, **settings}
