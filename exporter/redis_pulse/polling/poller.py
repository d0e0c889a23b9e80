"""One target and its collectors → store: the runner times, isolates, bounds and counts; the collectors only read."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from redis_pulse.client import Call, Client
from redis_pulse.collectors import Collector
from redis_pulse.config import Options
from redis_pulse.config.option_types import RoleOptions
from redis_pulse.errors import (
    OperationTimeoutError,
    PermissionDeniedError,
    RejectedError,
    SkippedError,
    TargetError,
    UnknownCommandError,
)
from redis_pulse.metric import Fault, Found, Overflow, Sample, Unreadable
from redis_pulse.polling.poll_commands import Asking, Refusals, Replies
from redis_pulse.sample_store import Store
from redis_pulse.server_info import Server
from redis_pulse.telemetry import TargetInstruments

#: Seconds after its deadline at which a collector is cut off that does not end by itself.
BACKSTOP = 0.1
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
        """Take note that the server lacks what a collector reads."""
        ...

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Take note that the user may not run these commands; ``worked``: the collector can do without them."""
        ...

    def rests(self, collector: str) -> None:
        """Take note that a collector is not run any more."""
        ...

    def parts(self, collector: str, faults: Sequence[Fault]) -> None:
        """Take note of the parts of a collector that gave nothing in a run that ended well."""
        ...

    def polled(self) -> None:
        """Take note that a poll is over."""
        ...


class Failing(NamedTuple):
    """Why the newest run of a collector failed; ``commands`` are those that are denied to the user."""

    error: TargetError
    commands: tuple[str, ...] = ()


class Sampler:
    """Polls one target. ``trouble()`` says why its newest ping failed, if it did."""

    def __init__(
        self,
        client: Client,
        parts: Sequence[Part],
        store: Store,
        instruments: TargetInstruments,
        observer: Observer,
        *,
        trouble: Callable[[], TargetError | None],
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
        self._trouble = trouble
        self._newest: TargetError | None = None
        self._failing: dict[str, Failing] = {}
        self._refusals: Refusals = {}
        self.server = Server(local=client.target.settings.endpoint.is_local)
        self.polled = False
        self._connects = 0

    @property
    def newest_error(self) -> TargetError | None:
        """Why a poll failed last; None when the newest one worked."""
        return self._newest

    @property
    def failing(self) -> Mapping[str, Failing]:
        """The collectors whose newest run failed, and why."""
        return self._failing

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
                if not part.collector.applies(self.server) or not self._reads(part.options):
                    self._rest(part.collector.name)
                else:
                    failed = await self._run(part, once, call)
                    reason = reason or failed
        finally:
            call.end()
        self._client.naming.learn(self.server.version)
        self._instruments.polled(self._clock() - started, reason)
        self._observer.polled()
        self.polled = True

    def _rest(self, name: str) -> None:
        """Say nothing any more of a collector that this server has no use for now."""
        self._store.forget(self._name, name)
        self._failing.pop(name, None)
        if self._instruments.collector_rests(name):
            self._observer.rests(name)

    def _reads(self, options: Options) -> bool:
        """Whether the options want this server read, by its role."""
        is_grouped = self._client.target.settings.is_grouped
        return not isinstance(options, RoleOptions) or options.reads(self.server.role, is_grouped=is_grouped)

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
        commands = Asking(bound, once, self._refusals, self.server.identity, self._clock)
        error: Exception | None = None
        found: list[Found] = []
        try:
            # A little later than the deadline of the commands: theirs tells the breaker, and which of both ended it.
            async with asyncio.timeout(self._poll.timeout + BACKSTOP):
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
        asked = bool(commands.sent) or not isinstance(error, UnknownCommandError | PermissionDeniedError)
        if asked:  # else it is known since somebody asked: no slot
            operation.total.inc()
        if error is None:
            operation.succeeded(seconds)
            self._take(name, found, seconds, commands)
            return ""
        if name != INFO and isinstance(error, UnknownCommandError):
            if asked:
                operation.failed(error.reason)
            self._unsupported(name, error, seconds)
            return ""
        if isinstance(error, PermissionDeniedError):
            if asked:
                operation.failed(error.reason)
            self._denied(name, error, seconds, commands)
            return error.reason
        return self._failed(name, error, seconds)

    def _take(self, name: str, found: Iterable[Found], seconds: float, commands: Asking) -> None:
        samples = [item for item in found if isinstance(item, Sample)]
        self._store.put(self._name, name, samples, self._poll.max_age)
        self._instruments.collector_ran(
            name,
            success=True,
            supported=True,
            denied=bool(commands.denied),
            seconds=seconds,
            unreadable=sum(1 for item in found if isinstance(item, Unreadable)),
            overflow=sum(item.values for item in found if isinstance(item, Overflow)),
        )
        self._failing.pop(name, None)
        self._newest = None
        if commands.denied:  # it can do without, but not all that it could
            self._observer.denied(name, commands.denied, worked=True)
        else:
            self._observer.collected(name, None)
        self._observer.parts(name, [item for item in found if isinstance(item, Fault)])

    def _failed(self, name: str, error: Exception, seconds: float) -> str:
        reason = error.reason if isinstance(error, TargetError) else TargetError.reason
        waited = isinstance(error, OperationTimeoutError) and error.was_tried
        self._instruments.operation(name).failed(reason, self._poll.timeout if waited else None)
        self._instruments.collector_ran(name, success=False, supported=True, denied=False, seconds=seconds)
        self._observer.collected(name, error)
        cause = self._cause(name, error)
        self._failing[name] = Failing(cause)
        return cause.reason

    def _cause(self, name: str, error: Exception) -> TargetError:
        """Return why a run failed; when the breaker rejected it, what was wrong before that."""
        if not isinstance(error, TargetError):
            return TargetError(f"a fault of the exporter: {type(error).__name__}")
        if not isinstance(error, RejectedError):
            self._newest = error
            return error
        before = self._failing.get(name)
        return self._trouble() or (before.error if before else self._newest) or error

    def _unsupported(self, name: str, error: TargetError, seconds: float) -> None:
        self._store.forget(self._name, name)
        self._failing.pop(name, None)
        self._instruments.collector_ran(name, success=True, supported=False, denied=False, seconds=seconds)
        self._observer.unsupported(name, error)

    def _denied(self, name: str, error: PermissionDeniedError, seconds: float, commands: Asking) -> None:
        self._failing[name] = Failing(error, tuple(commands.denied))
        self._instruments.collector_ran(name, success=False, supported=True, denied=True, seconds=seconds)
        self._observer.denied(name, commands.denied, worked=False)
