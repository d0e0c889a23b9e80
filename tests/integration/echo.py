"""Controls an echo server: starts it, makes it misbehave, and matches its record with the exporter's probe log."""

import contextlib
import csv
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.integration.probe_log import LoggedProbe, parse_cell

ROOT = Path(__file__).parents[2]


class Ping(NamedTuple):
    """The server's record of a PING, in ns of CLOCK_REALTIME. ``left`` and ``done`` are None without a reply."""

    port: int
    connection: int
    arrived: int
    left: int | None
    done: int | None
    fate: str


class EchoServer:
    """``python -m tests.integration.echo_server`` with some ports. ``options`` are those of its command line."""

    def __init__(self, folder: Path, ports: int = 1, **options: Any) -> None:
        self.file = folder / "pings.csv"
        self._errors = folder / "echo.log"
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self._command = [sys.executable, "-m", "tests.integration.echo_server", f"--ports={ports}"]
        self._command += [f"--record={self.file}", *arguments]
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.ports = self._receive()["ports"]
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        assert self._process.returncode == 0, self._errors.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def urls(self) -> list[str]:
        return [f"redis://127.0.0.1:{port}" for port in self.ports]

    def do(self, what: str, **how: Any) -> None:
        """Start a period of misbehaviour: ``do("stall", **{"for": 2.0})``. See ``echo_script``."""
        self._send({"do": what, **how})

    def counters(self) -> dict[str, int]:
        """Return its counters: connections, open, bytes_in, bytes_out, and commands by name."""
        self._send({"report": True})
        return dict(self._receive())

    def record(self) -> list[Ping]:
        """Return its record of all pings so far, in the order of the replies."""
        self.counters()
        with self.file.open(newline="") as file:
            return [
                Ping(int(row[0]), int(row[1]), int(row[2]), parse_cell(row[3]), parse_cell(row[4]), row[5])
                for row in list(csv.reader(file))[1:]
            ]

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the echo server has ended:\n{self._errors.read_text()}"
        return dict(json.loads(line))


def match_pings(probes: Iterable[LoggedProbe], pings: Iterable[Ping]) -> list[tuple[LoggedProbe, Ping]]:
    """Return each probe that was sent with its ping at the server, port by port, in the order of sending.

    Fails if one is missing on either side. Each must arrive after it was sent, and before the next is sent. Pings that
    the server read together have the timestamp of the last. Pings after the newest line of the log have no line yet.
    """
    sent: dict[int, list[LoggedProbe]] = defaultdict(list)
    arrived: dict[int, list[Ping]] = defaultdict(list)
    for probe in probes:
        if probe.sent is not None:
            sent[probe.port].append(probe)
    for ping in pings:
        arrived[ping.port].append(ping)
    assert set(sent) <= set(arrived), f"nothing arrived at {set(sent) - set(arrived)}"
    pairs: list[tuple[LoggedProbe, Ping]] = []
    for port, at_exporter in sent.items():
        at_exporter.sort(key=lambda probe: probe.sent or 0)
        at_server = sorted(arrived[port], key=lambda ping: ping.arrived)
        assert len(at_exporter) <= len(at_server), (
            f"{len(at_exporter)} pings were sent to port {port}, {len(at_server)} arrived"
        )
        for position, (probe, ping) in enumerate(zip(at_exporter, at_server, strict=False)):
            assert (probe.sent or 0) <= ping.arrived, f"arrived before it was sent: {probe} {ping}"
            if position + 1 < len(at_exporter) and at_server[position + 1].arrived != ping.arrived:
                next_sent = at_exporter[position + 1].sent or 0
                assert ping.arrived <= next_sent, f"{probe} never arrived, the next is {ping}"
            pairs.append((probe, ping))
    return pairs
