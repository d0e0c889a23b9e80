"""Writes and reads one private key. This finds what PING never meets, such as READONLY, OOM and CLUSTERDOWN.

A server that cannot write its snapshot or its AOF (MISCONF) denies PING too. The canary then shows that reads still
work.

The canary is off unless ``canary.enabled`` is set. It needs a user that may SET and GET ``canary.prefix``*.

- A primary is written to and read from, as the operations ``write`` and ``read``.
- A replica is only read, to measure how far it is behind (``canary.heartbeat``, see ``replication_delay``).
- The key has a TTL, so that nothing is left behind.
- On a node of a cluster the key has a hash tag. So its hash slot is one that the node owns.
"""

from binascii import crc_hqx
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Protocol

from redis_pulse.blocking import COMPUTATIONS, NoThreadError
from redis_pulse.client import TargetClient
from redis_pulse.commands import Args, Commands
from redis_pulse.errors import MovedError, SkippedError, TargetError
from redis_pulse.probe.replication_delay import HeartbeatRegistry, PrimaryWrites, ReplicaProgress
from redis_pulse.server_info import Server
from redis_pulse.telemetry import TargetMetrics

WRITE, READ = "write", "read"
HASH_SLOTS = 16384


class CanaryObserver(Protocol):
    """Is notified of the results of writes and reads."""

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Handle the end of a write or a read. ``collector`` is the name of the operation."""
        ...


def hash_slot(key: str) -> int:
    """Return the hash slot of a key without a hash tag (CRC16 of the cluster specification)."""
    return crc_hqx(key.encode(), 0) % HASH_SLOTS


def owned_hash_slots(nodes: str) -> list[tuple[int, int]]:
    """Return the ranges of hash slots that the replying node owns, according to its reply to CLUSTER NODES."""
    for line in nodes.splitlines():
        words = line.split()
        if len(words) > 8 and "myself" in words[2].split(","):
            return [ends for word in words[8:] if (ends := _range(word)) is not None]
    return []


def _range(word: str) -> tuple[int, int] | None:
    first, _, last = word.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        return None  # a hash slot that is being migrated: [93-<-…]
    ends = int(first), int(last or first)
    return ends if 0 <= ends[0] <= ends[1] < HASH_SLOTS else None


def find_hash_tag(ranges: Sequence[tuple[int, int]]) -> str:
    """Return a hash tag in one of these ranges. For a single hash slot this takes about 16 000 attempts, 15 ms."""
    return next(tag for tag in map(str, count()) if any(first <= hash_slot(tag) <= last for first, last in ranges))


class CanaryProbe:
    """The canary of one target. It does nothing before ``is_server_known()``, because the server may be a replica."""

    def __init__(
        self,
        client: TargetClient,
        server: Server,
        metrics: TargetMetrics,
        observer: CanaryObserver,
        heartbeats: HeartbeatRegistry,
        *,
        instance: str,
        clock: Callable[[], float],
        is_server_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._settings = client.target.canary
        self._timeout = client.target.poll.timeout
        self._server = server
        self._metrics = metrics
        self._observer = observer
        self._heartbeats = heartbeats
        self._key = f"{self._settings.prefix}:{instance}"
        self._clock = clock
        self._is_server_known = is_server_known
        #: The key with the hash tag of a hash slot that this node owned; None until it is needed.
        self._tagged_key: str | None = None
        self._progress = ReplicaProgress()

    async def run(self, _due: float) -> None:
        """Write once and read once. On a replica, only read what has arrived."""
        if not self._is_server_known():
            return
        if self._server.role != "slave":
            await self._write_and_read(self._heartbeats.writes_to(self._client.target.address))
        elif self._settings.heartbeat:
            await self._read_replica()

    def missed(self, late: int, overrun: int) -> None:
        """Count runs that were due and never started."""
        for name in (WRITE, READ):
            self._metrics.operation(name).missed(late, overrun)

    def delay(self) -> float | None:
        """Return how many seconds this replica is behind.

        Return None if the server is not a replica, or if this daemon does not write to its primary.
        """
        return self._progress.delay(self._clock()) if self._server.role == "slave" else None

    async def _write_and_read(self, writes: PrimaryWrites) -> None:
        value = writes.value()

        async def write(commands: Commands) -> Any:
            ttl = round(self._settings.ttl * 1000)
            return await commands.execute("SET", await self._key_for_server(), value, "PX", ttl)

        async def read(commands: Commands) -> Any:
            reply = await commands.execute("GET", await self._key_for_server())
            if was_written and reply != value.encode():
                raise TargetError("what was read is not what was written")

        was_written, _ = await self._run_operation(WRITE, write)
        if was_written:
            writes.key = self._tagged_key or self._key
            writes.record_write(self._clock())
        await self._run_operation(READ, read)

    async def _read_replica(self) -> None:
        """Read from a replica what the canary of its primary wrote."""
        fields = self._server.fields
        writes = self._heartbeats.known(f"{fields.get('master_host', '')}:{fields.get('master_port', '')}")
        if writes is None:
            return
        key = writes.key

        async def read(commands: Commands) -> Any:
            # Without READONLY, a replica of a cluster would redirect the read to its primary.
            before: list[Args] = [("READONLY",)] if self._server.mode == "cluster" else []
            reply = (await commands.pipeline([*before, ("GET", key)]))[-1]
            if isinstance(reply, TargetError):
                raise reply
            return reply

        _, reply = await self._run_operation(READ, read)
        self._progress.record_read(writes, reply.decode(errors="replace") if isinstance(reply, bytes) else None)

    async def _run_operation(self, name: str, send: Callable[[Commands], Awaitable[Any]]) -> tuple[bool, Any]:
        """Run one operation. Return whether it succeeded, and its reply."""
        try:
            with self._metrics.operation(name).run(self._clock, self._timeout):
                reply = await send(self._client.commands(name, self._clock() + self._timeout))
        except TargetError as error:
            if isinstance(error, MovedError):
                self._tagged_key = None  # another node owns the hash slot now, so another tag is needed
            self._observer.on_collector(name, error)
            return False, None
        self._observer.on_collector(name, None)
        return True, reply

    async def _key_for_server(self) -> str:
        """Return the key to use on this server. Raises TargetError."""
        if self._server.mode != "cluster":
            self._tagged_key = None
            return self._key
        if self._tagged_key is None:
            commands = self._client.commands(WRITE, self._clock() + self._timeout)
            nodes = await commands.execute("CLUSTER", "NODES")
            ranges = owned_hash_slots(nodes.decode(errors="replace") if isinstance(nodes, bytes) else "")
            if not ranges:
                raise TargetError("this node of the cluster owns no slots")
            try:  # in a thread, because it would block the event loop for long
                tag = await COMPUTATIONS.run(("tag", *ranges), partial(find_hash_tag, ranges), within=None)
            except NoThreadError as error:
                raise SkippedError(str(error)) from None
            self._tagged_key = f"{self._key}:{{{tag}}}"
        return self._tagged_key
