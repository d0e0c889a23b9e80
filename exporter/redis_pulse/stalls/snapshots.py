"""A short INFO once a second, kept as bytes: the state just before a stall, and the usual rates."""

import re
import zlib
from array import array
from itertools import pairwise
from typing import Final, NamedTuple

from redis_pulse.commands import Args
from redis_pulse.stalls.evidence import Snapshot, parse_snapshot

#: The sections that the causes read. Before Redis 7, INFO takes one section only, so all are read.
INFO_SECTIONS: Final[Args] = ("INFO", "server", "clients", "persistence", "stats", "cpu", "commandstats", "debug")
INFO_EVERYTHING: Final[Args] = ("INFO", "all")
#: Seconds after which the older snapshot, for the usual rates, is replaced.
_OLDER_AGE = 15.0
#: Times of CPU use that are kept, for the moments between two polls.
_CPU_SAMPLES: Final = 64
#: CPU seconds per second that are assumed if no other time shows them.
_UNKNOWN_RATE: Final = 0.5
_CPU = re.compile(rb"used_cpu_(?:user|sys)(_main_thread)?:([0-9]{1,12}(?:\.[0-9]{1,9})?)\r")
#: A longer reply is not kept: a thousand targets keep three each.
MAX_BYTES = 32768


class RawSnapshot(NamedTuple):
    """The reply to INFO, and when it arrived, in monotonic seconds."""

    at: float
    raw: bytes
    #: The number of the newest entry of the slow log: -1 without entries, None if unknown.
    slow_number: int | None = None

    def parse(self) -> Snapshot:
        """Return the parsed snapshot."""
        return parse_snapshot(self.raw, self.at)


class CpuUsed(NamedTuple):
    """CPU seconds that a server used in ``window`` seconds, and its usual use per second."""

    used: float
    window: float
    rate: float


def cpu_seconds(raw: bytes) -> float | None:
    """Return the CPU seconds of the main thread, of the process if the server does not count the thread."""
    start = raw.find(b"used_cpu_")
    found = _CPU.findall(raw, start, start + 512) if start >= 0 else []
    own = [float(value) for thread, value in found if thread] or [float(value) for thread, value in found if not thread]
    return sum(own) if len(own) == 2 else None


class SnapshotHistory:
    """The newest snapshot, the one before, and an older one. Of more of them, only the CPU time is kept."""

    __slots__ = ("_cpu", "_newest", "_older", "_previous")

    def __init__(self) -> None:
        #: Moments and CPU seconds in turns. Sixty pairs of objects would take 7 KB.
        self._cpu = array("d")
        self._newest: RawSnapshot | None = None
        self._previous: RawSnapshot | None = None
        #: Its text is compressed: it is read for a stall only.
        self._older: RawSnapshot | None = None

    def add(self, snapshot: RawSnapshot) -> None:
        """Keep a snapshot."""
        if len(snapshot.raw) > MAX_BYTES:
            snapshot = snapshot._replace(raw=snapshot.raw[:MAX_BYTES].rpartition(b"\r\n")[0])
        previous = self._newest
        if previous is not None and (self._older is None or snapshot.at - self._older.at > 2 * _OLDER_AGE):
            self._older = previous._replace(raw=zlib.compress(previous.raw, 1))
        self._previous, self._newest = previous, snapshot
        if (cpu := cpu_seconds(snapshot.raw)) is not None:
            if self._cpu and cpu < self._cpu[-1]:
                del self._cpu[:]  # another process
            elif len(self._cpu) >= 2 * _CPU_SAMPLES:
                del self._cpu[:2]
            self._cpu.extend((snapshot.at, cpu))

    @property
    def newest_at(self) -> float:
        """When the newest snapshot arrived, or 0 without one."""
        return 0.0 if self._newest is None else self._newest.at

    def cpu_between(self, begin: float, end: float) -> CpuUsed | None:
        """Return the CPU use of the shortest kept time around this one, or None if it is not known."""
        known = list(zip(self._cpu[::2], self._cpu[1::2], strict=True))
        before = [one for one in known if one[0] <= begin]
        after = [one for one in known if one[0] >= end]
        if not before or not after:
            return None
        (start, old), (stop, new) = before[-1], after[0]
        rates = sorted(
            (two[1] - one[1]) / (two[0] - one[0])
            for one, two in pairwise(known)
            if two[0] > one[0] and not (start <= one[0] < stop)
        )
        return CpuUsed(new - old, stop - start, rates[len(rates) // 2] if rates else _UNKNOWN_RATE)

    def before(self, moment: float) -> RawSnapshot | None:
        """Return the newest snapshot that arrived before ``moment``, or None."""
        for kept in (self._newest, self._previous):
            if kept is not None and kept.at <= moment:
                return kept
        return self._unpacked(moment)

    def earlier(self, than: RawSnapshot) -> RawSnapshot | None:
        """Return the oldest snapshot before ``than``, or None."""
        if self._older is not None and self._older.at < than.at:
            return self._unpacked(than.at)
        return self._previous if self._previous is not None and self._previous.at < than.at else None

    def _unpacked(self, moment: float) -> RawSnapshot | None:
        """Return the older snapshot if it arrived before a moment."""
        older = self._older
        return None if older is None or older.at > moment else older._replace(raw=zlib.decompress(older.raw))

    def clear(self) -> None:
        """Forget all snapshots, because the server may be another one."""
        self._newest = self._previous = self._older = None
        del self._cpu[:]
