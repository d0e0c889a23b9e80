"""One target and its collectors → store: the runner times, isolates, bounds and counts; the collectors only read."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from redis_pulse.client import GuardedCall, TargetClient
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
from redis_pulse.metric import CollectorFault, CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.polling.poll_commands import CachingCommands, PollReplies, RefusedCommands
from redis_pulse.sample_store import SampleStore
from redis_pulse.server_info import Server
from redis_pulse.telemetry import TargetMetrics

#: Seconds after its deadline at which a collector is cut off that does not end by itself.
CANCEL_AFTER = 0.1
#: The collector by which we learn what the server is: it is asked every time, also when it was denied before.
INFO = "info"


class ConfiguredCollector(NamedTuple):
    """A collector of this target, with its options."""

    collector: Collector
    options: Options


class CollectorObserver(Protocol):
    """Who wants to know how collectors fare."""

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Take note of the end of a run; ``error`` is no TargetError when the collector itself is at fault."""
        ...

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Take note that the server lacks what a collector reads."""
        ...

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Take note that the user may not run these commands; ``worked``: the collector can do without them."""
        ...

    def skipped_for_role(self, collector: str) -> None:
        """Take note that a collector is not run any more."""
        ...

    def parts(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Take note of the parts of a collector that gave nothing in a run that ended well."""
        ...

    def polled(self) -> None:
        """Take note that a poll is over."""
        ...


class FailedCollector(NamedTuple):
    """Why the newest run of a collector failed; ``commands`` are those that are denied to the user."""

    error: TargetError
    commands: tuple[str, ...] = ()


class TargetPoller:
    """Polls one target. ``trouble()`` says why its newest ping failed, if it did."""

    def __init__(
        self,
        client: TargetClient,
        parts: Sequence[ConfiguredCollector],
        store: SampleStore,
        instruments: TargetMetrics,
        observer: CollectorObserver,
        *,
        trouble: Callable[[], TargetError | None],
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._name = client.target.name
        self._poll = client.target.settings.poll
        self._collectors = parts
        self._store = store
        self._metrics = instruments
        self._observer = observer
        self._clock = clock
        self._trouble = trouble
        self._newest: TargetError | None = None
        self._failing: dict[str, FailedCollector] = {}
        self._refusals: RefusedCommands = {}
        self.server = Server(local=client.target.settings.endpoint.is_local)
        self.polled = False
        self._connects = 0

    @property
    def newest_error(self) -> TargetError | None:
        """Why a poll failed last; None when the newest one worked."""
        return self._newest

    @property
    def failing(self) -> Mapping[str, FailedCollector]:
        """The collectors whose newest run failed, and why."""
        return self._failing

    async def poll(self, _due: float) -> None:
        """Run every collector that this server can have, one after the other; for the breaker it is one call."""
        once: PollReplies = {}
        if self._connects != self._client.connects:
            self._connects = self._client.connects
            self.server.info_query = None  # there may be another server now: how does this one like to be asked?
        started, reason = self._clock(), ""
        call = self._client.start_call()
        try:
            for part in self._collectors:
                if not part.collector.applies(self.server) or not self._reads_this_role(part.options):
                    self._skip_collector(part.collector.name)
                else:
                    failed = await self._run(part, once, call)
                    reason = reason or failed
        finally:
            call.end()
        self._client.naming.learn(self.server.version)
        self._metrics.record_poll(self._clock() - started, reason)
        self._observer.polled()
        self.polled = True

    def _skip_collector(self, name: str) -> None:
        """Say nothing any more of a collector that this server has no use for now."""
        self._store.forget(self._name, name)
        self._failing.pop(name, None)
        if self._metrics.collector_rests(name):
            self._observer.skipped_for_role(name)

    def _reads_this_role(self, options: Options) -> bool:
        """Whether the options want this server read, by its role."""
        is_grouped = self._client.target.settings.is_grouped
        return not isinstance(options, RoleOptions) or options.reads(self.server.role, is_grouped=is_grouped)

    def missed(self, late: int, overrun: int) -> None:
        """Book polls that were due and never started: we were late, or the one before still waited for the target."""
        for part in self._collectors:
            operation = self._metrics.operation(part.collector.name)
            operation.total.inc(late + overrun)
            operation.failed("skipped", count=late)
            operation.failed("timeout", count=overrun)

    async def _run(self, part: ConfiguredCollector, once: PollReplies, call: GuardedCall) -> str:
        """Run one collector; return the reason when it failed."""
        name = part.collector.name
        operation = self._metrics.operation(name)
        started = self._clock()
        bound = self._client.commands(name, started + self._poll.timeout, call)
        commands = CachingCommands(bound, once, self._refusals, self.server.identity, self._clock)
        error: Exception | None = None
        found: list[CollectorItem] = []
        try:
            # A little later than the deadline of the commands: theirs tells the breaker, and which of both ended it.
            async with asyncio.timeout(self._poll.timeout + CANCEL_AFTER):
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
            self._store_samples(name, found, seconds, commands)
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
        return self._record_failure(name, error, seconds)

    def _store_samples(
        self, name: str, found: Iterable[CollectorItem], seconds: float, commands: CachingCommands
    ) -> None:
        samples = [item for item in found if isinstance(item, Sample)]
        self._store.put(self._name, name, samples, self._poll.max_age)
        self._metrics.record_collector(
            name,
            success=True,
            supported=True,
            denied=bool(commands.denied),
            seconds=seconds,
            unreadable=sum(1 for item in found if isinstance(item, UnreadableField)),
            overflow=sum(item.values for item in found if isinstance(item, OverflowCount)),
        )
        self._failing.pop(name, None)
        self._newest = None
        if commands.denied:  # it can do without, but not all that it could
            self._observer.denied(name, commands.denied, worked=True)
        else:
            self._observer.on_collector(name, None)
        self._observer.parts(name, [item for item in found if isinstance(item, CollectorFault)])

    def _record_failure(self, name: str, error: Exception, seconds: float) -> str:
        reason = error.reason if isinstance(error, TargetError) else TargetError.reason
        waited = isinstance(error, OperationTimeoutError) and error.was_tried
        self._metrics.operation(name).failed(reason, self._poll.timeout if waited else None)
        self._metrics.record_collector(name, success=False, supported=True, denied=False, seconds=seconds)
        self._observer.on_collector(name, error)
        cause = self._cause(name, error)
        self._failing[name] = FailedCollector(cause)
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
        self._metrics.record_collector(name, success=True, supported=False, denied=False, seconds=seconds)
        self._observer.unsupported(name, error)

    def _denied(self, name: str, error: PermissionDeniedError, seconds: float, commands: CachingCommands) -> None:
        self._failing[name] = FailedCollector(error, tuple(commands.denied))
        self._metrics.record_collector(name, success=False, supported=True, denied=True, seconds=seconds)
        self._observer.denied(name, commands.denied, worked=False)
