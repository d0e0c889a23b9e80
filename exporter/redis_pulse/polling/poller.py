"""Polls one target: runs its collectors and stores their samples.

The poller measures, isolates, limits and counts each run. A collector only reads.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from redis_pulse.client import GuardedCall, OperationCommands, TargetClient
from redis_pulse.collectors import Collector
from redis_pulse.commands import UNSUPPORTED
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
from redis_pulse.metric import CollectorFault, CollectorItem, OverflowCount, Sample, SlowCommands, UnreadableField
from redis_pulse.polling.poll_commands import CachingCommands, PollReplies, RefusedCommands
from redis_pulse.sample_store import SampleStore
from redis_pulse.server_info import Server
from redis_pulse.telemetry import TargetMetrics

#: Seconds from the deadline of a collector until it is cancelled, if it does not end by itself.
CANCEL_AFTER = 0.1
#: The collector that finds out what the server is. If its command is unknown, that is a failure.
INFO = "info"


class ConfiguredCollector(NamedTuple):
    """A collector of this target, with its options."""

    collector: Collector
    options: Options


class CollectorObserver(Protocol):
    """Is notified of the results of collectors."""

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Handle the end of a run. An ``error`` that is not a TargetError is a fault of the collector itself."""
        ...

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Handle a run that failed because the server lacks what the collector reads."""
        ...

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Handle commands that the user may not run. ``worked``: the collector succeeded without them."""
        ...

    def skipped_for_role(self, collector: str) -> None:
        """Handle a collector that no longer runs on this server."""
        ...

    def partial_failures(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Handle the parts of a collector that returned nothing, in a run that succeeded."""
        ...

    def slow_commands(self, found: SlowCommands) -> None:
        """Handle the slow commands that the server has logged since the last poll."""
        ...

    def polled(self) -> None:
        """Handle the end of a poll."""
        ...


class FailedCollector(NamedTuple):
    """Why the newest run of a collector failed. ``commands`` are those that the user may not run."""

    error: TargetError
    commands: tuple[str, ...] = ()


class TargetPoller:
    """Polls one target. ``ping_error()`` returns the error of its newest ping, or None if that succeeded."""

    def __init__(
        self,
        client: TargetClient,
        collectors: Sequence[ConfiguredCollector],
        store: SampleStore,
        metrics: TargetMetrics,
        observer: CollectorObserver,
        *,
        ping_error: Callable[[], TargetError | None],
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._name = client.target.name
        self._poll = client.target.poll
        self._collectors = collectors
        self._store = store
        self._metrics = metrics
        self._observer = observer
        self._clock = clock
        self._ping_error = ping_error
        self._newest_error: TargetError | None = None
        self._failing: dict[str, FailedCollector] = {}
        self._refusals: RefusedCommands = {}
        #: What the server behind the target is, as its newest INFO reply says.
        self.server = Server(local=client.target.endpoint.is_local)
        #: Whether a poll has ended.
        self.polled = False
        self._connects = 0

    @property
    def newest_error(self) -> TargetError | None:
        """The newest error of a collector, or None if a later run of a collector succeeded."""
        return self._newest_error

    @property
    def failing(self) -> Mapping[str, FailedCollector]:
        """The collectors whose newest run failed, and the reasons."""
        return self._failing

    async def poll(self, _due: float) -> None:
        """Run every collector that applies to this server, one after the other.

        For the circuit breaker a poll is one call.
        """
        replies: PollReplies = {}
        if self._connects != self._client.connects:
            self._connects = self._client.connects
            self.server.info_query = None  # another server may answer now, which may need another form of INFO
        started, first_reason = self._clock(), ""
        call = self._client.start_call()
        try:
            for configured in self._collectors:
                if not configured.collector.applies(self.server) or not self._reads_this_role(configured.options):
                    self._skip_collector(configured.collector.name)
                else:
                    reason = await self._run(configured, replies, call)
                    first_reason = first_reason or reason
        finally:
            call.end()
        self._client.naming.set_server_version(self.server.version)
        self._metrics.record_poll(self._clock() - started, first_reason)
        self._observer.polled()
        self.polled = True

    def missed(self, late: int, overrun: int) -> None:
        """Count polls that never started: the exporter was late, or the poll before still waited for the target."""
        for configured in self._collectors:
            self._metrics.operation(configured.collector.name).missed(late, overrun)

    def _skip_collector(self, name: str) -> None:
        """Drop the samples and the state of a collector that does not apply to this server now."""
        self._store.forget(self._name, name)
        self._failing.pop(name, None)
        if self._metrics.drop_collector(name):
            self._observer.skipped_for_role(name)

    def _reads_this_role(self, options: Options) -> bool:
        """Return whether the options permit reading a server of this role."""
        is_grouped = self._client.target.is_grouped
        return not isinstance(options, RoleOptions) or options.reads(self.server.role, is_grouped=is_grouped)

    async def _run(self, configured: ConfiguredCollector, replies: PollReplies, call: GuardedCall) -> str:
        """Run one collector. Return the reason of its failure, or an empty string.

        ``OperationMetrics.run`` does not fit here, because it counts a run at its start. A run of a collector does not
        count if nothing was sent, because its refusal was cached. That is known only at its end.
        """
        name = configured.collector.name
        operation = self._metrics.operation(name)
        started = self._clock()
        sender = self._client.commands(name, started + self._poll.timeout, call)
        commands = CachingCommands(sender, replies, self._refusals, self.server.identity, self._clock)
        error: Exception | None = None
        items: list[CollectorItem] = []
        try:
            items = await self._collect(configured, commands, sender)
        except asyncio.CancelledError as cancelled:
            operation.total.inc()
            operation.record_outcome(cancelled, self._clock() - started, self._poll.timeout)
            raise
        except Exception as raised:  # noqa: BLE001  # a fault of one collector costs only its own samples
            error = raised
        seconds = self._clock() - started
        if commands.sent or not isinstance(error, UNSUPPORTED):
            operation.total.inc()
            operation.record_outcome(error, seconds, self._poll.timeout)
        if error is None:
            self._store_samples(name, items, seconds, commands)
            return ""
        if isinstance(error, UnknownCommandError) and name != INFO:
            self._record_unsupported(name, error, seconds)
            return ""
        if isinstance(error, PermissionDeniedError):
            self._record_denied(name, error, seconds, commands)
            return error.reason
        return self._record_failure(name, error, seconds)

    async def _collect(
        self, configured: ConfiguredCollector, commands: CachingCommands, sender: OperationCommands
    ) -> list[CollectorItem]:
        """Return what a collector yields. Raise SkippedError or OperationTimeoutError if it does not end by itself."""
        try:
            # The deadline of the commands comes first. It gives the breaker its verdict. It also distinguishes a
            # slow target from a long queue of connects in the exporter.
            async with asyncio.timeout(self._poll.timeout + CANCEL_AFTER):
                return list(await configured.collector.collect(self.server, commands, configured.options))
        except TimeoutError:
            if sender.is_queueing:  # both deadlines passed at once, and this one was noticed first
                raise SkippedError("too many connects at once") from None
            raise OperationTimeoutError("not done in time") from None

    def _store_samples(
        self, name: str, items: Iterable[CollectorItem], seconds: float, commands: CachingCommands
    ) -> None:
        samples = [item for item in items if isinstance(item, Sample)]
        self._store.put(self._name, name, samples, self._poll.max_age)
        self._metrics.record_collector(
            name,
            success=True,
            supported=True,
            denied=bool(commands.denied),
            seconds=seconds,
            unreadable=sum(1 for item in items if isinstance(item, UnreadableField)),
            overflow=sum(item.values for item in items if isinstance(item, OverflowCount)),
        )
        self._failing.pop(name, None)
        self._newest_error = None
        if commands.denied:  # the collector succeeded, but with less data
            self._observer.denied(name, commands.denied, worked=True)
        else:
            self._observer.on_collector(name, None)
        self._observer.partial_failures(name, [item for item in items if isinstance(item, CollectorFault)])
        for item in items:
            if isinstance(item, SlowCommands):
                self._observer.slow_commands(item)

    def _record_unsupported(self, name: str, error: TargetError, seconds: float) -> None:
        self._store.forget(self._name, name)
        self._failing.pop(name, None)
        self._metrics.record_collector(name, success=True, supported=False, denied=False, seconds=seconds)
        self._observer.unsupported(name, error)

    def _record_denied(
        self, name: str, error: PermissionDeniedError, seconds: float, commands: CachingCommands
    ) -> None:
        self._failing[name] = FailedCollector(error, tuple(commands.denied))
        self._metrics.record_collector(name, success=False, supported=True, denied=True, seconds=seconds)
        self._observer.denied(name, commands.denied, worked=False)

    def _record_failure(self, name: str, error: Exception, seconds: float) -> str:
        """Record a failed run and return the reason of its cause."""
        self._metrics.record_collector(name, success=False, supported=True, denied=False, seconds=seconds)
        self._observer.on_collector(name, error)
        cause = self._cause(name, error)
        self._failing[name] = FailedCollector(cause)
        return cause.reason

    def _cause(self, name: str, error: Exception) -> TargetError:
        """Return the cause of a failed run. If the breaker rejected it, return the error from before that."""
        if not isinstance(error, TargetError):
            return TargetError(f"a fault of the exporter: {type(error).__name__}")
        if not isinstance(error, RejectedError):
            self._newest_error = error
            return error
        before = self._failing.get(name)
        return self._ping_error() or (before.error if before else self._newest_error) or error
