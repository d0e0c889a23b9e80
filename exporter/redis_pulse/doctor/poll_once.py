"""Run one poll of the daemon's own collectors, and measure what it costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis_pulse.client import NullClientObserver
from redis_pulse.collectors import Collector
from redis_pulse.commands import Args
from redis_pulse.config import TargetSettings
from redis_pulse.errors import KeyDeniedError, TargetError
from redis_pulse.exposition import render_steps
from redis_pulse.metric import CollectorFault, LatencySpikes, SlowCommands
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.slices import SharedTurns
from redis_pulse.telemetry import ExporterMetrics

if TYPE_CHECKING:
    from redis_pulse.doctor.examination import Examination


@dataclass(slots=True)
class PollResult:
    """What one poll found, by collector. Times are in seconds."""

    #: commands that the user may not run
    denied: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: collectors that may not read keys
    denied_keys: list[str] = field(default_factory=list)
    #: collectors that the server does not support
    unsupported: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    #: the whole poll, its commands, and the bytes of their replies
    took: float = 0.0
    commands: int = 0
    reply_bytes: int = 0


class CountingObserver(NullClientObserver):
    """Counts the commands of a client and the bytes of their replies."""

    def __init__(self) -> None:
        self.commands = self.reply_bytes = 0

    def replied(self, commands: Sequence[Args], replies: Sequence[Any]) -> None:
        """Count one batch."""
        self.commands += len(commands)
        self.reply_bytes += sum(map(_size, replies))


def _size(reply: Any) -> int:
    if isinstance(reply, bytes | str):
        return len(reply)
    if isinstance(reply, Mapping):
        return sum(_size(key) + _size(value) for key, value in reply.items())
    return sum(map(_size, reply)) if isinstance(reply, list | tuple) else 8


class _Recorder:
    """Implements ``CollectorObserver``: writes everything into a ``PollResult``."""

    def __init__(self, examination: "Examination", result: PollResult) -> None:
        self._examination = examination
        self._clock = examination.clock
        self._result = result
        self._started = self._clock()

    def _ended(self, collector: str) -> None:
        now = self._clock()
        self._result.seconds[collector] = now - self._started
        self._started = now

    def on_collector(self, collector: str, error: Exception | None) -> None:
        self._ended(collector)
        if error is not None:
            self._result.failed[collector] = error

    def unsupported(self, collector: str, error: TargetError) -> None:  # noqa: ARG002  # the protocol
        self._ended(collector)
        self._result.unsupported.append(collector)

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:  # noqa: ARG002  # the protocol
        self._ended(collector)
        names = tuple(commands)
        if names:
            self._result.denied[collector] = names

    def skipped_for_role(self, collector: str) -> None:
        """Ignore a collector that does not fit the role of the server."""

    def partial_failures(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Ignore parts of a collector: the log of the daemon names them."""

    def slow_commands(self, found: SlowCommands) -> None:
        """Ignore slow commands: the first poll only finds where the slow log ends."""

    def latency_spikes(self, found: LatencySpikes) -> None:
        """Ignore spikes: the check of the server reads them."""

    def polled(self) -> None:
        """Keep the fields of INFO. The poller drops them at the end of a poll."""
        self._examination.fields = self._examination.server.fields


async def poll_once(examination: "Examination") -> PollResult:
    """Run every collector of the target once, and fill ``server`` of the examination."""
    target, clock = examination.target, examination.clock
    result = PollResult()
    metrics = ExporterMetrics("doctor")
    target_metrics = metrics.add_target(
        target.name, [], buckets=tuple(target.probe.buckets), address=target.address, labels={}
    )
    poller = TargetPoller(
        examination.client,
        configured_collectors(target, examination.collectors),
        SampleStore(render_steps, clock),
        target_metrics,
        _Recorder(examination, result),
        ping_error=lambda: None,
        turns=SharedTurns(),
        clock=clock,
    )
    examination.server = poller.server
    observer = examination.observer
    commands, size, started = observer.commands, observer.reply_bytes, clock()
    await poller.poll(started)
    result.took = clock() - started
    result.commands, result.reply_bytes = observer.commands - commands, observer.reply_bytes - size
    result.denied_keys = [name for name, one in poller.failing.items() if isinstance(one.error, KeyDeniedError)]
    examination.is_polled = bool(examination.fields)
    return result


def configured_collectors(target: TargetSettings, known: Mapping[str, Collector]) -> list[ConfiguredCollector]:
    """Return the collectors that the daemon runs for a target."""
    options = target.collectors
    if options is None:
        options = {name: {} for name, collector in known.items() if collector.default}
    return [
        ConfiguredCollector(collector.for_target(), collector.options(**options[name]))
        for name, collector in known.items()
        if name in options
    ]
