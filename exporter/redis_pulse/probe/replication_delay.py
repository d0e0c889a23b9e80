"""How far a replica is behind, end to end: what its primary's canary wrote last, and what the replica shows of it.

A primary's canary writes ``<writer>:<number>`` every few seconds. A replica that shows number m while n was written is
behind by the age of write m + 1, the oldest that it does not have yet; one that shows n is behind by nothing. The delay
is computed when it is read, so it grows while a link is down, and while the replica does not answer at all. The newest
write of all counts once it was acknowledged. Plain bookkeeping; times are passed in.
"""

from collections import deque

#: Writes of one primary that are remembered; a replica that is further behind is behind by the oldest of them.
_REMEMBERED = 1000


class PrimaryWrites:
    """The acknowledged writes of one primary's canary."""

    __slots__ = ("_first", "_times", "key", "name", "next")

    def __init__(self, name: str) -> None:
        self.name = name
        #: the key that it writes now
        self.key = ""
        #: the number of its next write
        self.next = 0
        self._first = 0
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

    def value(self) -> str:
        """Return what to write next."""
        return f"{self.name}:{self.next}"

    def record_write(self, at: float) -> None:
        """Take note that the next write was acknowledged."""
        if len(self._times) == _REMEMBERED:
            self._first += 1
        self._times.append(at)
        self.next += 1

    def number_in(self, text: str | None) -> int | None:
        """Read the number of a write out of what a replica shows; None when it is not of this writer."""
        name, _, number = (text or "").rpartition(":")
        return int(number) if name == self.name and number.isdecimal() and number.isascii() else None

    def delay(self, shown: int, now: float) -> float:
        """Return by how many seconds a replica is behind that shows write ``shown`` (-1: none yet)."""
        missing = shown + 1
        if missing >= self.next:
            return 0.0
        return max(0.0, now - self._times[max(0, missing - self._first)])


class ReplicaProgress:
    """What one replica has shown of its primary's writes."""

    __slots__ = ("_shown", "_writer")

    def __init__(self) -> None:
        self._writer: PrimaryWrites | None = None
        self._shown = -1

    def record_read(self, writer: PrimaryWrites, text: str | None) -> None:
        """Take note of what the replica shows now; an expired or foreign value tells nothing new."""
        if self._writer is not writer:
            self._writer, self._shown = writer, -1
        number = writer.number_in(text)
        if number is not None:
            self._shown = max(self._shown, min(number, writer.next - 1))

    def delay(self, now: float) -> float | None:
        """Return by how many seconds it is behind; None while its primary is not known."""
        return None if self._writer is None else self._writer.delay(self._shown, now)


class HeartbeatRegistry:
    """The writers of this daemon, by the address of their primary."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._writers: dict[str, PrimaryWrites] = {}

    def writer(self, address: str) -> PrimaryWrites:
        """Return the writer of the primary at an address, made at its first use."""
        if (known := self._writers.get(address)) is None:
            known = self._writers[address] = PrimaryWrites(f"{self._instance}@{address}")
        return known

    def known(self, address: str) -> PrimaryWrites | None:
        """Return the writer of the primary at an address, if that is watched here and has written."""
        writer = self._writers.get(address)
        return writer if writer is not None and writer.next else None

    def forget(self, address: str) -> None:
        """Forget a primary that is not watched any more."""
        self._writers.pop(address, None)
