"""An echo server from the outside: started, told to misbehave, and its record held against our log."""

import contextlib
import csv
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.integration.probe_log import LoggedProbe, number

ROOT = Path(__file__).parents[2]


class Ping(NamedTuple):
    """What the server wrote down of a PING, in ns of CLOCK_REALTIME; ``left`` is None when it was not answered."""

    port: int
    connection: int
    arrived: int
    left: int | None
    done: int | None
    fate: str


class EchoServer:
    """``python -m tests.integration.echo_server`` with so many ports; ``options`` are those of its command line."""

    def __init__(self, folder: Path, ports: int = 1, **options: Any) -> None:
        self.file = folder / "pings.csv"
        self._errors = folder / "echo.log"
        words = [f"--{name}={value}" for name, value in options.items()]
        self._command = [sys.executable, "-m", "tests.integration.echo_server", f"--ports={ports}"]
        self._command += [f"--record={self.file}", *words]
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.ports = self._hear()["ports"]
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
        """Misbehave: ``do("stall", **{"for": 2.0})``; see ``echo_script``."""
        self._tell({"do": what, **how})

    def counters(self) -> dict[str, int]:
        """Return what was counted: connections, open, bytes_in, bytes_out, and commands by name."""
        self._tell({"tell": True})
        return dict(self._hear())

    def record(self) -> list[Ping]:
        """Return what it wrote down so far, in the order of the answers."""
        self.counters()
        with self.file.open(newline="") as file:
            return [
                Ping(int(row[0]), int(row[1]), int(row[2]), number(row[3]), number(row[4]), row[5])
                for row in list(csv.reader(file))[1:]
            ]

    def _tell(self, words: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the echo server is gone:\n{self._errors.read_text()}"
        return dict(json.loads(line))


def matched(slots: Iterable[LoggedProbe], pings: Iterable[Ping]) -> list[tuple[LoggedProbe, Ping]]:
    """Pair every slot that was sent with its arrival at the server, in the order of sending, port by port.

    Fails when one is missing on either side: each arrives after it was sent and before the next one is (those that the
    server read together bear the stamp of the last). What arrived after the newest line of the log has no line yet.
    """
    sent: dict[int, list[LoggedProbe]] = defaultdict(list)
    arrived: dict[int, list[Ping]] = defaultdict(list)
    for slot in slots:
        if slot.sent is not None:
            sent[slot.port].append(slot)
    for ping in pings:
        arrived[ping.port].append(ping)
    assert set(sent) <= set(arrived), f"nothing arrived at {set(sent) - set(arrived)}"
    pairs: list[tuple[LoggedProbe, Ping]] = []
    for port, ours in sent.items():
        ours.sort(key=lambda slot: slot.sent or 0)
        theirs = sorted(arrived[port], key=lambda ping: ping.arrived)
        assert len(ours) <= len(theirs), f"{len(ours)} pings were sent to port {port}, {len(theirs)} arrived"
        for place, (slot, ping) in enumerate(zip(ours, theirs, strict=False)):
            assert (slot.sent or 0) <= ping.arrived, f"arrived before it was sent: {slot} {ping}"
            if place + 1 < len(ours) and theirs[place + 1].arrived != ping.arrived:
                assert ping.arrived <= (ours[place + 1].sent or 0), f"{slot} never arrived, the next is {ping}"
            pairs.append((slot, ping))
    return pairs
