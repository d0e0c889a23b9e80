"""A Sentinel set of real processes: a master, its replicas, and Sentinels with short timeouts."""

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.integration.servers import RealServer, Software, binary, free_port
from tests.patience import Patience, started

#: Milliseconds of silence after which a Sentinel considers a server down.
DOWN_AFTER = 1000


def client(port: int, timeout: float = 2.0) -> redis.Redis:
    """Return a client without retries."""
    return redis.Redis(
        port=port,
        protocol=2,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
    )


class Sentinel:
    """One Sentinel process.

    ``lines`` are added to its configuration; ``{port}`` in a line becomes the port. With ``plain=False`` only the lines
    open a port.
    """

    def __init__(
        self,
        folder: Path,
        software: Software,
        masters: dict[str, int],
        lines: Sequence[str] = (),
        *,
        plain: bool = True,
    ) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        config = [f"port {self.port if plain else 0}", "bind 127.0.0.1", f"dir {folder}"]
        config += [line.format(port=self.port) for line in lines]
        for name, port in masters.items():
            config += [
                f"sentinel monitor {name} 127.0.0.1 {port} 2",
                f"sentinel down-after-milliseconds {name} {DOWN_AFTER}",
                f"sentinel failover-timeout {name} 1200",
            ]
        (folder / "sentinel.conf").write_text("\n".join(config) + "\n")
        self._command = [binary(software), str(folder / "sentinel.conf"), "--sentinel"]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started.add(self._process.pid)

    def run(self, *words: str | int) -> Any:
        """Send one command on a new connection, and return the reply."""
        with client(self.port) as connection:
            return connection.execute_command(*words)

    def kill(self) -> None:
        if self._process is not None:
            started.discard(self._process.pid)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)


class SentinelSet:
    """A master with replicas, and three Sentinels that watch it under the name ``cart``."""

    def __init__(
        self, folder: Path, software: Software, *, replicas: int = 2, sentinels: int = 3, lines: Sequence[str] = ()
    ) -> None:
        self.servers = [RealServer(folder / "server0", software)]
        for number in range(1, replicas + 1):
            master = f"127.0.0.1 {self.servers[0].port}"
            self.servers.append(RealServer(folder / f"server{number}", software, replicaof=master))
        masters = {"cart": self.servers[0].port}
        self.sentinels = [Sentinel(folder / f"sentinel{n}", software, masters, lines) for n in range(sentinels)]

    def __enter__(self) -> Self:
        for server in self.servers:
            server.__enter__()
        for sentinel in self.sentinels:
            sentinel.start()
        self.wait_until_complete()
        return self

    def __exit__(self, *_: object) -> None:
        for sentinel in self.sentinels:
            sentinel.kill()
        for server in self.servers:
            server.kill()

    @property
    def hosts(self) -> list[str]:
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def failovers(self) -> int:
        """How often the master has moved, according to the logs of the Sentinels."""
        return max(sentinel.log.count(" +switch-master cart ") for sentinel in self.sentinels)

    def server_at(self, address: str) -> RealServer:
        return next(server for server in self.servers if server.address == address)

    def wait_until_complete(self, within: float = 20.0) -> None:
        """Wait until each Sentinel knows all replicas and all other Sentinels, so that a failover is possible."""
        patience = Patience(within)
        while not all(self._is_complete(sentinel) for sentinel in self.sentinels):
            assert not patience.is_over, self.sentinels[0].log[-3000:]
            time.sleep(0.05)

    def _is_complete(self, sentinel: Sentinel) -> bool:
        with suppress(redis.RedisError):
            with client(sentinel.port) as connection:
                master = connection.sentinel_master("cart")
                replicas = connection.sentinel_slaves("cart")
            are_linked = all(one["flags"] == "slave" and one["master-link-status"] == "ok" for one in replicas)
            others = len(self.sentinels) - 1
            return are_linked and len(replicas) == len(self.servers) - 1 and master["num-other-sentinels"] == others
        return False


class Writer:
    """A client like that of an application: it gets the master from the Sentinels, and writes in a loop.

    ``max_gap`` is the longest time between two successful writes, in seconds.
    """

    def __init__(self, ports: Sequence[int], name: str = "cart") -> None:
        self._ports = ports
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last = 0.0
        self.max_gap = 0.0
        self.written = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection: redis.Redis | None = None
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = self._connect()
                connection.set("written", self.written)
            except redis.RedisError:
                if connection is not None:
                    connection.close()
                connection = None
                self._stop.wait(0.02)
                continue
            now = time.monotonic()
            if self.written:
                self.max_gap = max(self.max_gap, now - self._last)
            self._last = now
            self.written += 1
            self._stop.wait(0.02)
        if connection is not None:
            connection.close()

    def _connect(self) -> redis.Redis:
        for port in self._ports:
            with suppress(redis.RedisError), client(port, 0.3) as sentinel:
                address = sentinel.sentinel_get_master_addr_by_name(self._name)
                if address is not None:
                    return client(address[1], 0.3)
        raise redis.ConnectionError("no Sentinel replies")
