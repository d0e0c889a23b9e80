"""One target and its collectors → store: the runner times, isolates, bounds and counts; the collectors only read."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from exporter.client import Call, Client
from exporter.collectors import UNSUPPORTED, Collector
from exporter.config import Options
from exporter.errors import OperationTimeoutError, SkippedError, TargetError
from exporter.instruments import TargetInstruments
from exporter.metric import Found, Overflow, Sample, Unreadable
from exporter.sampler.asking import Asking, Refusals, Replies
from exporter.store import Store
from exporter.targets import Server

#: The collector by which we learn what the server is: it is asked every time, also when it was denied before.
INFO = "info"


class Part(NamedTuple):
    """A collector of this target, with its options."""

    collector: Collector
    options: Options


class Observer(Protocol):
    """Who wants to know how collectors fare."""

    def collected(self, collector: str, error: Exception | None) -> None:
        """Take note of the end of a run; ``error`` is no TargetError when the collector itself is at fault."""
        ...

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Take note that the server lacks, or denies us, what a collector reads."""
        ...


class Sampler:
    """Polls one target."""

    def __init__(
        self,
        client: Client,
        parts: Sequence[Part],
        store: Store,
        instruments: TargetInstruments,
        observer: Observer,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._name = client.target.name
        self._poll = client.target.settings.poll
        self._parts = parts
        self._store = store
        self._instruments = instruments
        self._observer = observer
        self._clock = clock
        self._refusals: Refusals = {}
        self.server = Server(local=client.target.settings.endpoint.is_local)
        self.polled = False
        self._connects = 0

    async def poll(self, _due: float) -> None:
        """Run every collector that this server can have, one after the other; for the breaker it is one call."""
        once: Replies = {}
        if self._connects != self._client.connects:
            self._connects = self._client.connects
            self.server.info_way = None  # there may be another server now: how does this one like to be asked?
        started, reason = self._clock(), ""
        call = self._client.start_call()
        try:
            for part in self._parts:
                if not part.collector.applies(self.server):
                    self._store.forget(self._name, part.collector.name)
                else:
                    failed = await self._run(part, once, call)
                    reason = reason or failed
        finally:
            call.end()
        self._instruments.polled(self._clock() - started, reason)
        self.polled = True

    def missed(self, late: int, overrun: int) -> None:
        """Book polls that were due and never started: we were late, or the one before still waited for the target."""
        for part in self._parts:
            operation = self._instruments.operation(part.collector.name)
            operation.total.inc(late + overrun)
            operation.failed("skipped", count=late)
            operation.failed("timeout", count=overrun)

    async def _run(self, part: Part, once: Replies, call: Call) -> str:
        """Run one collector; return the reason when it failed."""
        name = part.collector.name
        operation = self._instruments.operation(name)
        started = self._clock()
        bound = self._client.commands(name, started + self._poll.timeout, call)
        commands = Asking(bound, once, self._refusals, self.server.identity)
        error: Exception | None = None
        found: list[Found] = []
        try:
            async with asyncio.timeout(self._poll.timeout):
                found = list(await part.collector.collect(self.server, commands, part.options))
        except TimeoutError:
            queued = bound.is_queueing  # both deadlines came at once, and this one is heard
            error = SkippedError("too many connects at once") if queued else OperationTimeoutError("not done in time")
        except asyncio.CancelledError:
            operation.total.inc()
            operation.failed("other")
            raise
        except Exception as raised:  # noqa: BLE001  # one collector's fault costs its own samples only
            error = raised
        seconds = self._clock() - started
        unsupported = name != INFO and isinstance(error, UNSUPPORTED)
        if unsupported and isinstance(error, TargetError) and not commands.sent:
            self._unsupported(name, error, seconds)  # known since somebody asked: no slot
            return ""
        operation.total.inc()
        if error is None:
            operation.succeeded(seconds)
            self._take(name, found, seconds)
        elif unsupported and isinstance(error, TargetError):
            operation.failed(error.reason)
            self._unsupported(name, error, seconds)
        else:
            return self._failed(name, error, seconds)
        return ""

    def _take(self, name: str, found: Iterable[Found], seconds: float) -> None:
        samples = [item for item in found if isinstance(item, Sample)]
        self._store.put(self._name, name, samples, self._poll.max_age)
        self._instruments.collector_ran(
            name,
            success=True,
            supported=True,
            seconds=seconds,
            unreadable=sum(1 for item in found if isinstance(item, Unreadable)),
            overflow=sum(item.values for item in found if isinstance(item, Overflow)),
        )
        self._observer.collected(name, None)

    def _failed(self, name: str, error: Exception, seconds: float) -> str:
        reason = error.reason if isinstance(error, TargetError) else TargetError.reason
        waited = self._poll.timeout if reason == OperationTimeoutError.reason else None
        self._instruments.operation(name).failed(reason, waited)
        self._instruments.collector_ran(name, success=False, supported=True, seconds=seconds)
        self._observer.collected(name, error)
        return reason

    def _unsupported(self, name: str, error: TargetError, seconds: float) -> None:
        self._store.forget(self._name, name)
        self._instruments.collector_ran(name, success=True, supported=False, seconds=seconds)
        self._observer.unsupported(name, error)
