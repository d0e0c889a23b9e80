"""Polls one target: runs its collectors and stores their samples.

The poller measures, isolates, limits and counts each run. A collector only reads.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from redis_pulse.client import GuardedCall, OperationCommands, TargetClient
from redis_pulse.collectors import Collector, Requesting, Writing
from redis_pulse.collectors.support.series_limit import MAX_SAMPLES, limited_items
from redis_pulse.commands import UNSUPPORTED, Args
from redis_pulse.config import Options
from redis_pulse.config.option_types import RoleOptions
from redis_pulse.errors import (
    OperationTimeoutError,
    PermissionDeniedError,
    RejectedError,
    SkippedError,
    TargetError,
    UnknownCommandError,
    forget_frames,
)
from redis_pulse.metric import (
    CollectorFault,
    CollectorItem,
    KeptItems,
    LatencySpikes,
    OverflowCount,
    Sample,
    SlowCommands,
    UnreadableField,
    WrittenLines,
)
from redis_pulse.polling.kept_lines import KeptLines
from redis_pulse.polling.node_counters import NodeCounters
from redis_pulse.polling.observer import CollectorObserver
from redis_pulse.polling.pipelines import Pipelines
from redis_pulse.polling.poll_commands import CachingCommands, PipelinedReplies, PollReplies, RefusedCommands
from redis_pulse.polling.unwaiting import within
from redis_pulse.sample_store import NO_SAMPLES, RenderedSamples, SampleStore
from redis_pulse.server_info import Server
from redis_pulse.slices import SharedTurns
from redis_pulse.telemetry import TargetMetrics
from redis_pulse.text_format import render_label

#: Seconds from the deadline of a collector until it is cancelled, if it does not end by itself.
CANCEL_AFTER = 0.1
#: Commands whose replies grow with the use of the server, so that their number must not depend on scrapes.
LONG_REPLIES = frozenset({"client|list"})
#: The collector that finds out what the server is. If its command is unknown, that is a failure.
INFO = "info"


class ConfiguredCollector(NamedTuple):
    """A collector of this target, with its options."""

    collector: Collector
    options: Options

    @property
    def is_expensive(self) -> bool:
        """Whether it runs every ``poll.interval`` only, even if other collectors run before each scrape."""
        return not self.collector.default or not LONG_REPLIES.isdisjoint(self.collector.commands)


class FailedCollector(NamedTuple):
    """Why the newest run of a collector failed. ``commands`` are those that the user may not run."""

    error: TargetError
    commands: tuple[str, ...] = ()


class TargetPoller:
    """Polls one target. ``ping_error()`` returns the error of its newest ping, or None if that succeeded.

    All pollers of an event loop share ``turns``.
    """

    def __init__(
        self,
        client: TargetClient,
        collectors: Sequence[ConfiguredCollector],
        store: SampleStore,
        metrics: TargetMetrics,
        observer: CollectorObserver,
        *,
        ping_error: Callable[[], TargetError | None],
        turns: SharedTurns,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._name = client.target.name
        self._target_label = render_label("target", self._name)
        self._poll = client.target.poll
        self._collectors = collectors
        self._cheap = [configured for configured in collectors if not configured.is_expensive]
        self._store = store
        self._metrics = metrics
        self._observer = observer
        self._turns = turns
        self._clock = clock
        self._ping_error = ping_error
        self._newest_error: TargetError | None = None
        self._failing: dict[str, FailedCollector] = {}
        self._refusals: RefusedCommands = {}
        self._pipelines = Pipelines(client, clock, self._poll.timeout)
        self._requesting = [
            (one, one.collector.requests) for one in collectors if isinstance(one.collector, Requesting)
        ]
        self._writing = {
            one.collector.name: one.collector.write for one in collectors if isinstance(one.collector, Writing)
        }
        self._kept = KeptLines()
        self._reads_info = any(one.collector.name == INFO for one in collectors)
        #: by collector that reads only INFO, if several nodes answer
        self._node_counters: dict[str, NodeCounters] = {}
        #: What the server behind the target is, as its newest INFO reply says.
        self.server = Server(
            local=client.target.endpoint.is_local,
            host=client.target.endpoint.host,
            login_service=source.service if (source := client.target.token_source) else "",
        )
        #: Whether a poll has ended.
        self.polled = False
        self._connects = 0
        self._is_stopped = False

    def stop(self) -> None:
        """Store nothing more. A run may swallow its cancellation: ``wait_for`` of Python 3.11 does at times."""
        self._is_stopped = True

    @property
    def newest_error(self) -> TargetError | None:
        """The newest error of a collector, or None if a later run of a collector succeeded."""
        return self._newest_error

    @property
    def failing(self) -> Mapping[str, FailedCollector]:
        """The collectors whose newest run failed, and the reasons."""
        return self._failing

    async def poll(self, _due: float, *, complete: bool = True) -> None:
        """Send what the collectors announce, and run every collector that applies to this server, one after the other.

        For the circuit breaker a poll is one call. If it is not ``complete``, the expensive collectors do not run.
        Their samples stay.
        """
        replies, pipelined = PollReplies(), PipelinedReplies()
        if self._connects != self._client.connects:
            self._connects = self._client.connects
            self.server.info_query = None  # another server may answer now, which may need another form of INFO
        started, first_reason = self._clock(), ""
        call = self._client.start_call()
        try:
            try:
                collectors = self._collectors if complete else self._cheap
                if self.server.info_query is not None or not self._reads_info:
                    await self._send_announced(replies, pipelined, call, complete=complete)
                for configured in collectors:
                    await self._turns.take()  # most replies are there, so nothing else lets other tasks run
                    self._end_if_stopped()
                    if not self._applies(configured):
                        self._skip_collector(configured.collector.name)
                    else:
                        reason = await self._run(configured, replies, pipelined, call)
                        first_reason = first_reason or reason
                    if configured.collector.name == INFO:
                        await self._send_announced(replies, pipelined, call, complete=complete)
                self._commands_of_poll(replies, pipelined, call).remember_unread_refusals()
            finally:
                call.end()
            self._client.naming.set_server_version(self.server.version)
            self._metrics.record_poll(self._clock() - started, first_reason)
            self._observer.polled()
        finally:
            self.server.end_poll()
        self.polled = True

    def missed(self, late: int, overrun: int) -> None:
        """Count polls that never started: the exporter was late, or the poll before still waited for the target."""
        for configured in self._collectors:
            self._metrics.operation(configured.collector.name).missed(late, overrun)

    def _end_if_stopped(self) -> None:
        if self._is_stopped:
            raise asyncio.CancelledError

    def _applies(self, configured: ConfiguredCollector) -> bool:
        return configured.collector.applies(self.server) and self._reads_this_role(configured.options)

    async def _send_announced(
        self, replies: PollReplies, pipelined: PipelinedReplies, call: GuardedCall, *, complete: bool
    ) -> None:
        """Send at once what the collectors of this poll announce and what is not known yet."""
        commands = self._commands_of_poll(replies, pipelined, call)
        wanted: dict[Args, str] = {}
        for configured, requests in self._requesting:
            if (complete or not configured.is_expensive) and self._applies(configured):
                for args in requests(self.server, configured.options):
                    if args not in wanted and commands.may_send(args):
                        wanted[args] = configured.collector.name
        if wanted:
            pipelined |= await self._pipelines.send(wanted, call)

    def _commands_of_poll(
        self, replies: PollReplies, pipelined: PipelinedReplies, call: GuardedCall
    ) -> CachingCommands:
        sender = self._client.commands(INFO, 0.0, call)
        return CachingCommands(sender, replies, self._refusals, self.server, self._clock, pipelined)

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

    async def _run(
        self, configured: ConfiguredCollector, replies: PollReplies, pipelined: PipelinedReplies, call: GuardedCall
    ) -> str:
        """Run one collector. Return the reason of its failure, or an empty string.

        ``OperationMetrics.run`` does not fit here, because it counts a run at its start. A run of a collector does not
        count if nothing was sent, because its refusal was cached. That is known only at its end.
        """
        name = configured.collector.name
        operation = self._metrics.operation(name)
        started = self._clock()
        sender = self._client.commands(name, started + self._poll.timeout, call)
        commands = CachingCommands(sender, replies, self._refusals, self.server, self._clock, pipelined)
        error: Exception | None = None
        items: Sequence[CollectorItem] = []
        lines = NO_SAMPLES
        try:
            items = await self._collect(configured, commands, sender)
            if (kept := self._kept.lines(name, items)) is None:
                lines = await self._store.render(self._name, self._samples(configured.collector, items))
                self._kept.keep(name, items, lines)
            else:
                lines = kept
            self._end_if_stopped()
        except asyncio.CancelledError as cancelled:
            operation.total.inc()
            operation.record_outcome(cancelled, self._clock() - started, self._poll.timeout)
            raise
        except Exception as raised:  # noqa: BLE001  # a fault of one collector costs only its own samples
            error = raised
        try:
            return self._record_run(name, lines, items, error, self._clock() - started + commands.waited, commands)
        finally:
            forget_frames(error)  # they refer to this frame, and so to all replies of the poll

    def _record_run(
        self,
        name: str,
        lines: RenderedSamples,
        items: Iterable[CollectorItem],
        error: Exception | None,
        seconds: float,
        commands: CachingCommands,
    ) -> str:
        """Record a run that has ended. Return the reason of its failure, or an empty string."""
        operation = self._metrics.operation(name)
        if commands.sent or not isinstance(error, UNSUPPORTED):
            operation.total.inc()
            operation.record_outcome(error, seconds, self._poll.timeout)
        if error is None:
            self._store.put(self._name, name, lines, self._poll.max_age)
            self._record_success(name, items, seconds, commands)
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
    ) -> Sequence[CollectorItem]:
        """Return what a collector yields. Raise SkippedError or OperationTimeoutError if it does not end by itself."""
        try:
            # The deadline of the commands comes first. It gives the breaker its verdict. It also distinguishes a
            # slow target from a long queue of connects in the exporter.
            return await within(self._poll.timeout + CANCEL_AFTER, self._items(configured, commands))
        except TimeoutError:
            if sender.is_queueing:  # both deadlines passed at once, and this one was noticed first
                raise SkippedError("too many connects at once") from None
            raise OperationTimeoutError("not done in time") from None

    async def _items(self, configured: ConfiguredCollector, commands: CachingCommands) -> Sequence[CollectorItem]:
        collector, options = configured
        if (write := self._writing.get(collector.name)) is not None and not self.server.has_many_nodes:
            written = await write(self.server, commands, options, self._target_label)
            if written is not None:
                return written
        items = await collector.collect(self.server, commands, options)
        return items if type(items) is KeptItems and len(items) <= MAX_SAMPLES else await limited_items(items)

    def _samples(self, collector: Collector, items: Iterable[CollectorItem]) -> list[Sample | WrittenLines]:
        """Return the samples of a run. If several nodes answer, counters of INFO continue whichever node answers."""
        if not self.server.has_many_nodes or collector.commands != ("info",):
            return [item for item in items if type(item) is Sample or type(item) is WrittenLines]
        counters = self._node_counters.setdefault(collector.name, NodeCounters())
        return list(counters.continued((item for item in items if type(item) is Sample), self.server.run_id))

    def _record_success(
        self, name: str, items: Iterable[CollectorItem], seconds: float, commands: CachingCommands
    ) -> None:
        others = [item for item in items if type(item) is not Sample and type(item) is not WrittenLines]
        self._metrics.record_collector(
            name,
            success=True,
            supported=True,
            denied=bool(commands.denied),
            seconds=seconds,
            unreadable=sum([1 for item in others if isinstance(item, UnreadableField)]),
            overflow=sum([item.values for item in others if isinstance(item, OverflowCount)]),
        )
        self._failing.pop(name, None)
        self._newest_error = None
        if commands.denied:  # the collector succeeded, but with less data
            self._observer.denied(name, commands.denied, worked=True)
        else:
            self._observer.on_collector(name, None)
        self._observer.partial_failures(name, [item for item in others if isinstance(item, CollectorFault)])
        for item in others:
            if isinstance(item, SlowCommands):
                self._observer.slow_commands(item)
            elif isinstance(item, LatencySpikes):
                self._observer.latency_spikes(item)

    def _record_unsupported(self, name: str, error: TargetError, seconds: float) -> None:
        self._store.forget(self._name, name)
        self._failing.pop(name, None)
        self._metrics.record_collector(name, success=True, supported=False, denied=False, seconds=seconds)
        self._observer.unsupported(name, error)

    def _record_denied(
        self, name: str, error: PermissionDeniedError, seconds: float, commands: CachingCommands
    ) -> None:
        # Not every collector sends its commands itself; then the error names one.
        denied = tuple(commands.denied) or tuple(filter(None, (error.command,)))
        self._failing[name] = FailedCollector(error, denied)
        self._metrics.record_collector(name, success=False, supported=True, denied=True, seconds=seconds)
        self._observer.denied(name, denied, worked=False)

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
