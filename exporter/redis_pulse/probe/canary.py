"""A write and a read of one private key: finds what PING never meets (READONLY, OOM, CLUSTERDOWN).

(A server that cannot write its snapshot or its AOF, MISCONF, denies PING too: there the canary shows that reads go on.)

Off unless ``canary.enabled``; it needs a user that may SET and GET ``canary.prefix``*. A primary is written to and read
from, as operations ``write`` and ``read``; a replica is only read, to see how far it is behind (``heartbeat``). The key
has a TTL, so that nothing is left behind, and on a node of a cluster it has a hash tag of a slot that the node owns.
"""

import asyncio
from binascii import crc_hqx
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Protocol

from redis_pulse.blocking import WORK, NoThreadError
from redis_pulse.client import TargetClient
from redis_pulse.commands import Commands
from redis_pulse.errors import MovedError, OperationTimeoutError, SkippedError, TargetError
from redis_pulse.probe.replication_delay import HeartbeatRegistry, PrimaryWrites, ReplicaProgress
from redis_pulse.server_info import Server
from redis_pulse.telemetry import TargetMetrics

WRITE, READ = "write", "read"
HASH_SLOTS = 16384


class CanaryObserver(Protocol):
    """Who wants to know how writes and reads fare."""

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Take note of the end of one."""
        ...


def hash_slot(key: str) -> int:
    """Return the hash slot of a key without a hash tag (CRC16 of the cluster specification)."""
    return crc_hqx(key.encode(), 0) % HASH_SLOTS


def owned_hash_slots(nodes: str) -> list[tuple[int, int]]:
    """Read which slots the answering node owns, as ranges, out of CLUSTER NODES."""
    for line in nodes.splitlines():
        words = line.split()
        if len(words) > 8 and "myself" in words[2].split(","):
            return [found for word in words[8:] if (found := _range(word)) is not None]
    return []


def _range(word: str) -> tuple[int, int] | None:
    first, _, last = word.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        return None  # a slot that is being migrated: [93-<-…]
    ends = int(first), int(last or first)
    return ends if 0 <= ends[0] <= ends[1] < HASH_SLOTS else None


def tag_in(ranges: Sequence[tuple[int, int]]) -> str:
    """Find a hash tag in one of these slots; of a single slot it takes some 16 000 tries, 15 ms."""
    return next(tag for tag in map(str, count()) if any(first <= hash_slot(tag) <= last for first, last in ranges))


class CanaryProbe:
    """The canary of one target."""

    def __init__(
        self,
        client: TargetClient,
        server: Server,
        instruments: TargetMetrics,
        observer: CanaryObserver,
        heartbeats: HeartbeatRegistry,
        *,
        instance: str,
        clock: Callable[[], float],
        known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._settings = client.target.settings.canary
        self._timeout = client.target.settings.poll.timeout
        self._server = server
        self._metrics = instruments
        self._observer = observer
        self._heartbeats = heartbeats
        self._key = f"{self._settings.prefix}:{instance}"
        self._clock = clock
        self._known = known
        self._tagged: str | None = None  # the key with the hash tag of a slot that this node owned
        self.follower = ReplicaProgress()

    async def run(self, _due: float) -> None:
        """Write and read once; on a replica, look what has arrived. Not before the server is ``known``."""
        if not self._known():
            return
        if self._server.role != "slave":
            await self._write_and_read(self._heartbeats.writer(self._client.target.address))
        elif self._settings.heartbeat:
            await self._read_replica()

    def missed(self, late: int, overrun: int) -> None:
        """Book runs that were due and never started."""
        for name in (WRITE, READ):
            operation = self._metrics.operation(name)
            operation.total.inc(late + overrun)
            operation.failed("skipped", count=late)
            operation.failed("timeout", count=overrun)

    def delay(self) -> float | None:
        """Return by how many seconds this replica is behind; None when it is none, or its primary is not watched."""
        return self.follower.delay(self._clock()) if self._server.role == "slave" else None

    async def _write_and_read(self, writer: PrimaryWrites) -> None:
        value = writer.value()

        async def write(commands: Commands) -> Any:
            return await commands.execute(
                "SET", await self._key_for_server(), value, "PX", round(self._settings.ttl * 1000)
            )

        async def read(commands: Commands) -> Any:
            reply = await commands.execute("GET", await self._key_for_server())
            if written and reply != value.encode():
                raise TargetError("what was read is not what was written")

        written, _ = await self._run_operation(WRITE, write)
        if written:
            writer.key = self._tagged or self._key
            writer.record_write(self._clock())
        await self._run_operation(READ, read)

    async def _read_replica(self) -> None:
        """Read on a replica what its primary's canary wrote."""
        fields = self._server.fields
        writer = self._heartbeats.known(f"{fields.get('master_host', '')}:{fields.get('master_port', '')}")
        if writer is None:
            return
        key = writer.key

        async def look(commands: Commands) -> Any:
            # A replica of a cluster would send us to its primary without READONLY.
            before: list[tuple[str | int | bytes, ...]] = [("READONLY",)] if self._server.mode == "cluster" else []
            reply = (await commands.pipeline([*before, ("GET", key)]))[-1]
            if isinstance(reply, TargetError):
                raise reply
            return reply

        _, reply = await self._run_operation(READ, look)
        self.follower.record_read(writer, reply.decode(errors="replace") if isinstance(reply, bytes) else None)

    async def _run_operation(self, name: str, ask: Callable[[Commands], Awaitable[Any]]) -> tuple[bool, Any]:
        """Run one operation and book its one outcome: whether it succeeded, and the reply."""
        operation = self._metrics.operation(name)
        operation.total.inc()
        started = self._clock()
        try:
            reply = await ask(self._client.commands(name, started + self._timeout))
        except TargetError as error:
            if isinstance(error, MovedError):
                self._tagged = None  # the slot went to another node: look for one that is ours
            waited = isinstance(error, OperationTimeoutError) and error.was_tried
            operation.failed(error.reason, self._timeout if waited else None)
            self._observer.on_collector(name, error)
            return False, None
        except asyncio.CancelledError:
            operation.failed("other")
            raise
        operation.succeeded(self._clock() - started)
        self._observer.on_collector(name, None)
        return True, reply

    async def _key_for_server(self) -> str:
        """Return the key to use on this server. Raises TargetError."""
        if self._server.mode != "cluster":
            self._tagged = None
            return self._key
        if self._tagged is None:
            commands = self._client.commands(WRITE, self._clock() + self._timeout)
            nodes = await commands.execute("CLUSTER", "NODES")
            ranges = owned_hash_slots(nodes.decode(errors="replace") if isinstance(nodes, bytes) else "")
            if not ranges:
                raise TargetError("this node of the cluster owns no slots")
            try:
                tag = await WORK.run(("tag", *ranges), partial(tag_in, ranges), within=None)  # it computes for long
            except NoThreadError as error:
                raise SkippedError(str(error)) from None
            self._tagged = f"{self._key}:{{{tag}}}"
        return self._tagged
