"""One target and its collectors → store: the runner times, isolates, bounds and counts; the collectors only read."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.client import Client
from exporter.collectors import Collector, Commands
from exporter.config import Options
from exporter.errors import OperationTimeoutError, PermissionDeniedError, TargetError, UnknownCommandError
from exporter.instruments import TargetInstruments
from exporter.metric import Sample, Unreadable
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


class Once:
    """The ``Commands`` of one poll: what several collectors ask is sent once."""

    def __init__(self) -> None:
        self._replies: dict[tuple[str | int, ...], Any] = {}

    def over(self, commands: Commands) -> "_OnceCommands":
        """Return a port that asks ``commands`` only for what is not known yet."""
        return _OnceCommands(commands, self._replies)


class _OnceCommands:
    def __init__(self, commands: Commands, replies: dict[tuple[str | int, ...], Any]) -> None:
        self._commands = commands
        self._replies = replies

    async def execute(self, *args: str | int) -> Any:
        if args not in self._replies:
            self._replies[args] = await self._commands.execute(*args)
        return self._replies[args]


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
        self._unsupported: dict[str, tuple[str, ...]] = {}  # collector → the server's identity at that time
        self.server = Server()
        self.polled = False

    async def poll(self, _due: float) -> None:
        """Run every collector that this server can have, one after the other."""
        once = Once()
        for part in self._parts:
            if not part.collector.applies(self.server):
                self._store.forget(self._name, part.collector.name)
            elif self._unsupported.get(part.collector.name) != self.server.identity:
                await self._run(part, once)
        self.polled = True

    def missed(self, late: int, overrun: int) -> None:
        """Book polls that were due and never started: we were late, or the one before still waited for the target."""
        for part in self._parts:
            operation = self._instruments.operation(part.collector.name)
            operation.total.inc(late + overrun)
            operation.failed("skipped", count=late)
            operation.failed("timeout", count=overrun)

    async def _run(self, part: Part, once: Once) -> None:
        name = part.collector.name
        operation = self._instruments.operation(name)
        operation.total.inc()
        started = self._clock()
        commands = once.over(self._client.commands(name, started + self._poll.timeout))
        error: Exception | None = None
        found: list[Sample | Unreadable] = []
        try:
            async with asyncio.timeout(self._poll.timeout):
                found = list(await part.collector.collect(self.server, commands, part.options))
        except TimeoutError:
            error = OperationTimeoutError("not done in time")
        except asyncio.CancelledError:
            operation.failed("other")
            raise
        except Exception as raised:  # noqa: BLE001  # one collector's fault costs its own samples only
            error = raised
        seconds = self._clock() - started
        if error is None:
            operation.succeeded(seconds)
            self._take(name, found, seconds)
        elif name != INFO and isinstance(error, PermissionDeniedError | UnknownCommandError):
            operation.failed(error.reason)
            self._remember_unsupported(name, error, seconds)
        else:
            self._failed(name, error, seconds)

    def _take(self, name: str, found: Iterable[Sample | Unreadable], seconds: float) -> None:
        samples = [item for item in found if isinstance(item, Sample)]
        unreadable = sum(1 for item in found if isinstance(item, Unreadable))
        self._store.put(self._name, name, samples, self._poll.max_age)
        self._instruments.collector_ran(name, success=True, supported=True, seconds=seconds, unreadable=unreadable)
        self._unsupported.pop(name, None)
        self._observer.collected(name, None)

    def _failed(self, name: str, error: Exception, seconds: float) -> None:
        reason = error.reason if isinstance(error, TargetError) else TargetError.reason
        waited = self._poll.timeout if reason == OperationTimeoutError.reason else None
        self._instruments.operation(name).failed(reason, waited)
        self._instruments.collector_ran(name, success=False, supported=True, seconds=seconds, unreadable=0)
        self._observer.collected(name, error)

    def _remember_unsupported(self, name: str, error: TargetError, seconds: float) -> None:
        self._unsupported[name] = self.server.identity
        self._store.forget(self._name, name)
        self._instruments.collector_ran(name, success=True, supported=False, seconds=seconds, unreadable=0)
        self._observer.unsupported(name, error)
