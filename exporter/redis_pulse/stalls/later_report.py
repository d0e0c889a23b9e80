"""Reports the stalls of one target that no ping met: to the records, to the metrics and to the log."""

from collections.abc import Callable

from redis_pulse.config import TargetSettings
from redis_pulse.metric import LatencySpikes, SlowCommands
from redis_pulse.stalls.causes import Verdict
from redis_pulse.stalls.later import MAX_RECORDS, LaterFinder, LaterStall, Moment, explain
from redis_pulse.stalls.records import StallRecord, StallRegistry
from redis_pulse.stalls.snapshots import SnapshotHistory
from redis_pulse.telemetry import TargetMetrics, families


class LaterStalls:
    """Finds and reports them. ``running()`` returns when pings waited in the stall that lasts, or None.

    What a poll finds waits for the next snapshot, which has the CPU time.
    """

    def __init__(
        self,
        target: TargetSettings,
        history: SnapshotHistory,
        registry: StallRegistry,
        metrics: TargetMetrics,
        on_stall: Callable[[StallRecord, Verdict], None],
        *,
        running: Callable[[], Moment | None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._target = target.name
        self._has_snapshots = target.stalls.enquire
        self._finder = LaterFinder(target.stalls.threshold, clock())
        self._history = history
        self._registry = registry
        self._metrics = metrics
        self._on_stall = on_stall
        self._running = running
        self._clock = clock
        self._wall = wall

    def seen(self, begin: float, end: float) -> None:
        """Remember a stall that pings met, so that it is not counted twice."""
        self._finder.seen(begin, end)

    def slow_commands(self, found: SlowCommands) -> None:
        """Look for stalls in the new entries of the slow log."""
        self._finder.slow_commands(found, self._clock())

    def latency_spikes(self, found: LatencySpikes) -> None:
        """Look for stalls in the new events of the latency monitor."""
        self._finder.latency_spikes(found, self._clock())

    def polled(self) -> None:
        """End a poll."""
        self._finder.polled(self._clock())
        self.report()

    def report(self) -> None:
        """Report what was found, as far as its CPU time is known or will not be."""
        if not self._finder.has_found:
            return
        now = self._clock()
        known_until = self._history.newest_at if self._has_snapshots else now
        for position, stall in enumerate(self._finder.take(now, self._running(), known_until)):
            self._conclude(stall, is_kept=position < MAX_RECORDS)

    def _conclude(self, stall: LaterStall, *, is_kept: bool) -> None:
        verdict = explain(stall, self._history.cpu_between(*stall.moment))
        self._metrics.counter_from_zero(families.LATER_STALLS, verdict.cause).inc()
        self._metrics.counter_from_zero(families.LATER_STALL_SECONDS, verdict.cause).inc(stall.seconds)
        if not is_kept:
            return
        ended = stall.moment.end + self._wall() - self._clock()
        record = StallRecord(
            self._registry.next_id(),
            self._target,
            started=ended - stall.seconds,
            ended=ended,
            seconds=stall.seconds,
            verdict=verdict,
            seen="later",
        )
        self._registry.add(record)
        self._on_stall(record, verdict)
