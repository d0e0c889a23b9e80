"""Measures how far a replica is behind its primary, end to end, by writes that the canary makes.

The canary of a primary writes ``<writer>:<number>`` every few seconds. Assume that write n is the newest:

- A replica that has write n is not behind.
- A replica that has write m is behind by the age of write m + 1. That is the oldest write that it lacks.

The delay is computed when it is read. So it grows while a replication link is down, and while the replica does not
answer at all. A write counts as soon as the primary acknowledged it. Plain accounting: times are passed in.
"""

from collections import deque

from redis_pulse.parse.reply import parse_uint

#: How many writes of one primary are remembered. A replica that is further behind is behind by the oldest of them.
_MAX_REMEMBERED = 1000


class PrimaryWrites:
    """The acknowledged writes of the canary of one primary."""

    __slots__ = ("_first", "_times", "key", "name", "next")

    def __init__(self, name: str) -> None:
        self.name = name
        #: The key that the canary currently writes.
        self.key = ""
        #: The number of the next write.
        self.next = 0
        self._first = 0  # the number of the oldest write that is remembered
        self._times: deque[float] = deque(maxlen=_MAX_REMEMBERED)

    def value(self) -> str:
        """Return the value of the next write."""
        return f"{self.name}:{self.next}"

    def record_write(self, at: float) -> None:
        """Record that the primary acknowledged the next write."""
        if len(self._times) == _MAX_REMEMBERED:
            self._first += 1
        self._times.append(at)
        self.next += 1

    def number_in(self, text: str | None) -> int | None:
        """Return the number of the write that a replica has, or None if another writer wrote the value."""
        name, _, number = (text or "").rpartition(":")
        return parse_uint(number) if name == self.name else None

    def delay(self, shown: int, now: float) -> float:
        """Return how many seconds a replica with write ``shown`` is behind. -1 means that it has none yet."""
        missing = shown + 1
        if missing >= self.next:
            return 0.0
        return max(0.0, now - self._times[max(0, missing - self._first)])


class ReplicaProgress:
    """Which write of its primary one replica has."""

    __slots__ = ("_shown", "_writes")

    def __init__(self) -> None:
        self._writes: PrimaryWrites | None = None
        self._shown = -1

    def record_read(self, writes: PrimaryWrites, text: str | None) -> None:
        """Record the value that was read from the replica. An expired or foreign value changes nothing."""
        if self._writes is not writes:
            self._writes, self._shown = writes, -1
        number = writes.number_in(text)
        if number is not None:
            self._shown = max(self._shown, min(number, writes.next - 1))

    def delay(self, now: float) -> float | None:
        """Return how many seconds the replica is behind, or None while its primary is unknown."""
        return None if self._writes is None else self._writes.delay(self._shown, now)


class HeartbeatRegistry:
    """The writes of all canaries of this daemon, by the address of their primary."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._by_address: dict[str, PrimaryWrites] = {}

    def writes_to(self, address: str) -> PrimaryWrites:
        """Return the writes to the primary at an address. Create an empty object if needed."""
        if (writes := self._by_address.get(address)) is None:
            writes = self._by_address[address] = PrimaryWrites(f"{self._instance}@{address}")
        return writes

    def known(self, address: str) -> PrimaryWrites | None:
        """Return the writes to the primary at an address, or None if this daemon has not written to it."""
        writes = self._by_address.get(address)
        return writes if writes is not None and writes.next else None

    def forget(self, address: str) -> None:
        """Forget a primary that is not monitored any more."""
        self._by_address.pop(address, None)
