"""One server with its load. A lane makes one stall after the other, and reads the records of the daemon about it."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from stalls_bench.cable import Cable
from stalls_bench.daemon import Daemon
from stalls_bench.injectors import Phase, Subject
from stalls_bench.kinds import KINDS, LaneName
from stalls_bench.plan import Step
from stalls_bench.processes import ROOT, end, may_raise, start
from stalls_bench.server import Server, Software

#: A stall of random length at a random moment may meet no ping. Then it is made again, so often.
ATTEMPTS = 3
#: Seconds between two stalls: the daemon takes a snapshot a second, which must show the usual state again.
_GAP = 2.3
#: Seconds until the stall of a kind begins, and how far the next attempt moves within the moments that count.
_LEAD, _NEXT_AIM = 0.03, 0.38
#: Seconds after a stall in which its record must appear, and longer if the stall lasts.
_PATIENCE, _LONG_PATIENCE = 3.0, 25.0


class Row(NamedTuple):
    """One stall that was made, and the records of the daemon that overlap it."""

    server: str
    kind: str
    seed: int
    phases: list[Phase]
    records: list[dict[str, Any]]
    #: Commands per second of the load before it.
    rate: float
    attempts: int = 1


def unix_time(text: str) -> float:
    """Return Unix time of a time of a record."""
    return datetime.fromisoformat(text).timestamp()


def last_moment(record: dict[str, Any]) -> float:
    """Return the end of a record's stall, or of its longest wait so far."""
    if record["ended"] is None:
        return unix_time(record["started"]) + float(record["seconds"])
    return unix_time(record["ended"])


def was_met(record: dict[str, Any]) -> bool:
    """Return whether a ping met the stall. Stalls that only a log of the server showed later have no evidence."""
    return bool(record.get("seen", "ping") == "ping")


class Lane:
    """A server, its load, and its cable in the lane of the network."""

    def __init__(self, software: Software, name: LaneName, folder: Path, library: Path | None) -> None:
        self.name, self.software, self.target = name, software, f"{software}-{name}"
        self._folder = folder / self.target
        self._folder.mkdir()
        self._cable = Cable(self._folder) if name == "net" else None
        settings = {"aof": {"appendonly": "yes"}}.get(name, {})
        self.server = Server(software, self._folder, library, settings, self._cable.enter if self._cable else ())
        self._load: Any = None
        self._seen: set[int] = set()

    @property
    def url(self) -> str:
        """Return the address for the daemon."""
        return f"redis://{self._cable.host if self._cable else '127.0.0.1'}:{self.server.port}"

    def open(self) -> None:
        """Start the server and its load."""
        if self._cable is not None:
            self._cable.create()
        self.server.start()
        self.server.calibrate()
        self._load = start(
            [sys.executable, "-m", "stalls_bench.load", self.server.sock],
            self._folder / "load.log",
            cwd=ROOT,
            priority="real time" if may_raise() else "",
        )

    def close(self) -> None:
        """End everything."""
        end(self._load)
        self.server.kill()
        if self._cable is not None:
            self._cable.delete()

    def make(
        self, steps: Sequence[Step], daemon: Daemon, seed: int, core: threading.Lock, should_end: Callable[[], bool]
    ) -> Iterator[Row]:
        """Make one stall for each step. ``core`` is held while a whole core is needed."""
        for step in steps:
            for attempt in range(1, ATTEMPTS + 1):
                if should_end():
                    return
                another = step._replace(aim=(step.aim + _NEXT_AIM * attempt) % 1.0)
                row = self._attempt(another, daemon, seed, core)._replace(attempts=attempt)
                if row.records or attempt == ATTEMPTS:
                    yield row
                    break

    def _attempt(self, step: Step, daemon: Daemon, seed: int, core: threading.Lock) -> Row:
        kind = KINDS[step.kind]
        with core if kind.busy else contextlib.nullcontext():
            kind.prepare(self.server)
        rate = self.rate(_GAP + step.delay)
        self._seen.update(record["id"] for record in daemon.records(self.target))
        with core if kind.busy else contextlib.nullcontext():
            if kind.aimed:
                self._aim(daemon, kind.aimed, step.aim)
            began = time.time()
            phases = kind.inject(Subject(self.server, self._cable), step.scale)
            ended = time.time()
        records = self._await_records(daemon, began, ended)
        phases = phases or [Phase(kind.cause, began, ended)]
        return Row(self.software, step.kind, seed, phases, records, rate)

    def rate(self, seconds: float) -> float:
        """Wait, and return how many commands per second the server executed."""
        before, began = self._count(), time.monotonic()
        time.sleep(seconds)
        return (self._count() - before) / (time.monotonic() - began)

    def _count(self) -> int:
        return int(self.server.info("stats")["total_commands_processed"])

    def _aim(self, daemon: Daemon, seconds: float, share: float) -> None:
        """Wait for one of the moments from which a stall of this length meets a ping."""
        due = daemon.next_ping(self.target)
        if due is None:
            return
        at = due - _LEAD - share * max(0.02, seconds - 0.1)
        time.sleep((at - time.time()) % 1.0)

    def _await_records(self, daemon: Daemon, began: float, ended: float) -> list[dict[str, Any]]:
        mine: list[dict[str, Any]] = []
        while time.time() < ended + _LONG_PATIENCE:
            time.sleep(0.4)
            new = [record for record in daemon.records(self.target, 8) if record["id"] not in self._seen]
            mine = [record for record in new if last_moment(record) > began and was_met(record)]
            is_running = any(record["cause"] is None for record in mine)
            if (mine and not is_running and time.time() > ended + 1.4) or (
                not mine and time.time() > ended + _PATIENCE
            ):
                break
        return [record for record in mine if record["cause"] is not None]
