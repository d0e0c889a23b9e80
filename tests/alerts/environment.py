"""The servers, proxies and threads that faults need. They run until the end of the environment."""

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

#: Collectors of every target.
COLLECTORS = ["info", "errorstats"]


class RepeatingThread:
    """Repeats an action in its own thread. It ignores errors of Redis, because some faults cause them."""

    def __init__(self, action: Callable[[], object], pause: float) -> None:
        self._action, self._pause = action, pause
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.wait(self._pause):
            with contextlib.suppress(redis.RedisError, OSError):
                self._action()


class Environment:
    """Starts what faults need, and stops everything at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_folder(self, name: str) -> Path:
        """Return the path of a new folder, which does not exist yet."""
        self._count += 1
        return self.folder / f"{self._count}-{name}"

    def server(self, name: str, software: Software = "redis", **config: Any) -> RealServer:
        """Start a server, and return it when it replies."""
        return self._stack.enter_context(RealServer(self.new_folder(name), software, **config))

    def master_and_replica(self, name: str, **config: Any) -> tuple[RealServer, RealServer]:
        """Start a master and a replica, and return them when the replica has the data."""
        master = self.server(f"{name}-master", **config)
        replica = self.server(f"{name}-replica", replicaof=f"127.0.0.1 {master.port}", **config)
        wait_until_linked(replica)
        return master, replica

    def proxy(self, server: RealServer) -> Proxy:
        """Start a proxy in front of a server. It can delay, corrupt or refuse connections."""
        return self._stack.enter_context(Proxy(server.port, free_port()))

    def repeating_thread(self, action: Callable[[], object], pause: float = 0.2) -> RepeatingThread:
        """Return a thread that repeats an action. The caller starts it."""
        thread = RepeatingThread(action, pause)
        self._stack.callback(thread.stop)
        return thread

    def client(self, server: RealServer) -> redis.Redis:
        """Return a new client for a repeating thread. The server's ``admin`` belongs to the thread of the test."""
        client = redis.Redis(unix_socket_path=str(server.folder / "admin.sock"), protocol=2, socket_timeout=5)
        self._stack.callback(client.close)
        return client

    def sentinel(self, name: str, master: RealServer, *directives: str) -> int:
        """Start a Sentinel that monitors a master under this name, and return the port of the Sentinel."""
        folder = self.new_folder(f"sentinel-{name}")
        folder.mkdir(parents=True)
        port = free_port()
        monitor = f"sentinel monitor {name} 127.0.0.1 {master.port} 1"
        lines = (f"port {port}", "bind 127.0.0.1", f"dir {folder}", monitor, *directives)
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        with (folder / "log").open("wb") as log:
            command = [binary("redis"), str(folder / "sentinel.conf"), "--sentinel"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return port

    @staticmethod
    def execute(port: int, *command: str) -> object:
        """Send one command to a port without a login, and return the reply."""
        with redis.Redis(port=port, protocol=2, socket_timeout=5) as client:
            return client.execute_command(*command)

    def cluster(self, name: str, **config: Any) -> list[RealServer]:
        """Start three masters that share all slots, and return them when the cluster is healthy."""
        config = {"cluster_enabled": "yes", "cluster_node_timeout": "2000"} | config
        nodes = [self.server(f"{name}-{number}", "valkey", **config) for number in range(3)]
        for node, (first, last) in zip(nodes, ((0, 5460), (5461, 10922), (10923, 16383)), strict=True):
            node.run("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in nodes[1:]:
            node.run("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        for node in nodes:
            eventually(lambda node=node: is_cluster_healthy(node), f"the cluster {name} is healthy", 30)  # type: ignore[misc]
        return nodes


def wait_until_linked(replica: RealServer) -> None:
    """Wait until a replica has the data of its master."""
    eventually(
        lambda: reply_fields(replica, "INFO", "replication")["master_link_status"] == "up", "the replica is linked", 30
    )


def is_cluster_healthy(node: RealServer) -> bool:
    """Return whether a node reports its cluster as healthy."""
    fields = reply_fields(node, "CLUSTER", "INFO")
    return (fields["cluster_state"], fields["cluster_known_nodes"]) == ("ok", "3")


def reply_fields(server: RealServer, *command: str) -> dict[str, str]:
    """Return the fields of the reply to INFO or a similar command."""
    reply = server.run(*command)
    if isinstance(reply, bytes):
        return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    return {str(name): str(value) for name, value in reply.items()}


def target(name: str, server: RealServer | Proxy | int, **settings: Any) -> dict[str, Any]:
    """Return the entry of a target for the configuration of the exporter."""
    if isinstance(server, RealServer):
        url = server.url
    else:
        url = f"redis://127.0.0.1:{server.port if isinstance(server, Proxy) else server}"
    return {"name": name, "url": url, "collectors": COLLECTORS, **settings}
