"""Watches one target for stalls: detects them, collects their evidence, and reports each with its cause.

- The prober reports its pings to ``StallDetector``, which returns an ``Episode``.
- Once a second a short INFO is kept as bytes in ``SnapshotHistory``.
- While a ping is overdue, TCP_INFO, questions and a fresh connection are added to a ``StallCase``.
- Replies of polls that arrive meanwhile are evidence too.
- At the end ``classify`` names the cause. The record goes to ``StallRegistry``, to the metrics and to the log.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from redis_pulse.client import ProbeConnection
from redis_pulse.commands import Args
from redis_pulse.config import TargetSettings
from redis_pulse.errors import TargetError
from redis_pulse.stalls.case import StallCase
from redis_pulse.stalls.causes import Verdict, classify
from redis_pulse.stalls.detector import Episode, PingOutcome, StallDetector
from redis_pulse.stalls.enquiry import Answers, Ask, EnquirySlots, Glance, PolledReplies, Questioner
from redis_pulse.stalls.evidence import TcpSample
from redis_pulse.stalls.fresh_connection import FreshTls, Peer, try_fresh_connection
from redis_pulse.stalls.later import Moment
from redis_pulse.stalls.later_report import LaterStalls
from redis_pulse.stalls.records import StallRecord, StallRegistry
from redis_pulse.stalls.snapshots import RawSnapshot, SnapshotHistory
from redis_pulse.telemetry import StallMetrics, TargetMetrics, families

#: Seconds for an enquiry after the end of its stall, and in all.
AFTER_STALL, MAX_ENQUIRY = 5.0, 60.0
#: Seconds after a ping was found overdue at which TCP_INFO is read again. Not at 1 s, when the next PING leaves.
_TCP_MOMENTS = (0.2, 0.8)
_MAX_TCP_SAMPLES = 12
#: Seconds for a snapshot. One that takes longer is in a stall, and the enquiry is under way.
_SNAPSHOT_TIMEOUT = 2.0


class WatchedProber(Protocol):
    """The parts of a prober that evidence comes from."""

    @property
    def connection(self) -> ProbeConnection | None:
        """The connection for pings, while there is one."""
        ...

    @property
    def waiting_since(self) -> float | None:
        """When the oldest unanswered PING was sent, or None."""
        ...

    @property
    def newest_send(self) -> float | None:
        """When the newest unanswered PING was sent, or None."""
        ...


class StallMonitor:
    """Finds and explains the stalls of one target. ``clock`` is monotonic, in seconds; ``wall`` is Unix time."""

    def __init__(
        self,
        target: TargetSettings,
        ask: Ask,
        registry: StallRegistry,
        slots: EnquirySlots,
        metrics: TargetMetrics,
        on_stall: Callable[[StallRecord, Verdict], None],
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._target = target.name
        self._settings = target.stalls
        self._questioner = Questioner(ask, clock)
        self._registry = registry
        self._slots = slots
        self._metrics = metrics
        self._stall_metrics = StallMetrics(metrics, target.probe.timeout)
        self._on_stall = on_stall
        self._clock = clock
        self._wall = wall
        #: The owner sets it, so that most snapshots need no task.
        self.glance: Glance = lambda *_: False
        #: The owner sets it if the server has TLS.
        self.tls: FreshTls | None = None
        self._detector = StallDetector(target.stalls.threshold)
        self._history = SnapshotHistory()
        #: finds the stalls that no ping met
        self.later = LaterStalls(
            target, self._history, registry, metrics, on_stall, running=self._running_moment, clock=clock, wall=wall
        )
        self._polled = PolledReplies()
        self._no_tcp_info = _why_no_tcp_info(target)
        #: cases that are not concluded
        self._examined = 0
        self._case: StallCase | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        #: when the snapshot began whose reply is awaited
        self._snapshot_began: float | None = None
        self._recovered = asyncio.Event()
        self._is_up = self._is_closed = self._is_moved = False
        self._retransmits: int | None = None
        registry.watch(target.name, target.endpoint.host or target.address, target.labels.get("cluster"))
        #: The owner sets it before the first ping.
        self.prober: WatchedProber | None = None
        metrics.callbacks[families.STALL_IN_PROGRESS, ""] = lambda: float(self._detector.running is not None)

    # Events of the prober.

    def on_outcome(self, outcome: PingOutcome) -> None:
        """Record the end of a ping."""
        if self._is_closed:
            return
        running = self._detector.running
        if outcome.reason is None:
            self._is_up = True
            if not self._recovered.is_set():
                self._recovered.set()
            if running is None and (outcome.seconds or 0.0) < self._settings.threshold:
                return
        else:
            self._is_up = False
            self._recovered.clear()
        ended = self._detector.observe(outcome)
        if ended is not None:
            self._end(ended)
        elif self._detector.running is None:
            self._drop()
        else:
            self._show(self._detector.running)

    def on_overdue(self, due: float) -> None:
        """Collect evidence while a ping waits."""
        if self._is_closed:
            return
        self._detector.overdue(due, self._clock())
        if (episode := self._detector.running) is not None:
            self._recovered.clear()
            self._show(episode)
        self._sample_tcp()
        if not any(not timer.cancelled() and timer.when() > self._loop_time() for timer in self._timers):
            loop = asyncio.get_running_loop()
            self._timers = [loop.call_later(seconds, self._sample_tcp) for seconds in _TCP_MOMENTS]

    def on_late_reply(self, due: float, seconds: float) -> None:
        """Record the whole wait of a ping that had timed out."""
        self._detector.late_reply(due, seconds)

    @property
    def is_examining(self) -> bool:
        """Whether replies of polls are evidence of a stall now."""
        return self._examined > 0

    def on_replies(self, commands: Sequence[Args], replies: Sequence[Any]) -> None:
        """Keep the replies of a poll, which may have been in flight when the stall began."""
        now = self._clock()
        for args, reply in zip(commands, replies, strict=False):
            self._polled.add(args, reply, now)

    def snapshot_due(self, _due: float) -> None:
        """Take a snapshot, unless the target is slow or down, or the one before has no reply yet."""
        is_usual = self._is_up and not self._is_closed and self._detector.running is None
        if not is_usual or self._snapshot_began is not None:
            return
        self._snapshot_began = self._clock()
        self._retransmits = self._retransmits_now()
        if not self._questioner.glance(self.glance, _SNAPSHOT_TIMEOUT, self._end_snapshot):
            self._start(self._take_snapshot())

    def _running_moment(self) -> Moment | None:
        running = self._detector.running
        return None if running is None else Moment(running.started, running.waited_until)

    def target_moves(self) -> None:
        """Record that the name of the target moves to another server. A stall whose answers are missing ends by it."""
        self._is_moved = True

    async def close(self) -> None:
        """Stop everything. A stall that lasts ends now, because nothing watches it any more."""
        self._is_closed = True  # a connection that is made now would stay open
        for timer in self._timers:
            timer.cancel()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if (episode := self._detector.end(self._clock())) is not None and self._case is not None:
            self._conclude(self._case, episode)
        self._case = None

    # Evidence.

    def _show(self, episode: Episode) -> None:
        """Open a case for an episode when it begins, and show it as running."""
        if self._case is None or self._case.episode is not episode:
            self._case = self._open(episode)
        case = self._case
        self._registry.set_running(self._record(case, None))

    def _open(self, episode: Episode) -> StallCase:
        has_slot = self._settings.enquire and self._slots.take()
        # Without an enquiry there is nothing to compare, and parsing would cost time in a flood of stalls.
        before = self._history.before(episode.started) if has_slot else None
        earlier = None if before is None else self._history.earlier(before)
        offset = self._wall() - self._clock()
        case = StallCase(self._registry.next_id(), episode, offset, before, earlier, self._retransmits)
        self._examined += 1
        if not self._settings.enquire:
            case.missing["enquiry"] = "switched off"
        elif has_slot:
            case.enquiry = self._start(self._enquire(case))
            case.enquiry.add_done_callback(lambda _: self._slots.give_back())
        else:
            case.missing["enquiry"] = "too many at once"
        connection = None if self.prober is None else self.prober.connection
        peer = None if connection is None else connection.peer
        if not self._settings.detect_pause or (self._settings.enquire and not has_slot):
            case.missing["fresh_connection"] = case.missing.get("enquiry", "switched off")
        elif peer is None:
            case.missing["fresh_connection"] = "no connection"
        else:
            self._start(self._test_fresh(case, peer))
        return case

    def _sample_tcp(self) -> None:
        """Read TCP_INFO of the connection that waits."""
        case, prober = self._case, self.prober
        if case is None or prober is None or (sent := prober.newest_send) is None:
            return
        connection, now = prober.connection, self._clock()
        info = None if connection is None else connection.tcp_info()
        if info is None:
            case.missing["tcp_info"] = self._no_tcp_info
            return
        if len(case.tcp) >= _MAX_TCP_SAMPLES:
            del case.tcp[_MAX_TCP_SAMPLES // 2]
        case.tcp.append(
            TcpSample(
                at=now,
                unacked=info.unacked,
                retransmits=info.retransmits,
                backoff=info.backoff,
                total_retrans=info.total_retrans,
                notsent_bytes=info.notsent_bytes or 0,
                since_send=now - sent,
            )
        )

    def _retransmits_now(self) -> int | None:
        connection = None if self.prober is None else self.prober.connection
        info = None if connection is None else connection.tcp_info()
        return None if info is None else info.total_retrans

    async def _test_fresh(self, case: StallCase, peer: Peer) -> None:
        waiting = None if self.prober is None else self.prober.waiting_since
        case.connected, refused = await try_fresh_connection(peer, self.tls)
        await asyncio.sleep(0.02)  # if the server runs again, its reply to the ping is read first
        still_waits = self.prober is not None and waiting is not None and self.prober.waiting_since == waiting
        if still_waits:
            case.malformed_refused = refused
        else:
            case.missing["fresh_connection"] = "the stall was over"

    async def _take_snapshot(self) -> None:
        taken = None
        try:
            with suppress(TargetError):  # the pings tell what is wrong
                taken = await self._questioner.snapshot(_SNAPSHOT_TIMEOUT)
        finally:
            self._end_snapshot(taken)

    def _end_snapshot(self, taken: RawSnapshot | None) -> None:
        """Keep a snapshot, unless its reply came late."""
        began, self._snapshot_began = self._snapshot_began or 0.0, None
        if taken is not None and taken.at - began < self._settings.threshold:
            self._history.add(taken)
        if not self._is_closed:
            self.later.report()

    async def _enquire(self, case: StallCase) -> None:
        """Ask until there is an answer, at the latest a while after the stall."""
        with suppress(TimeoutError):
            is_over = case.episode.ended is not None and case.episode.ended_by != "reset"
            async with asyncio.timeout(AFTER_STALL if is_over else MAX_ENQUIRY) as case.limit:
                while case.answers is None:
                    try:
                        case.answers = await self._questioner.enquire(MAX_ENQUIRY)
                    except TargetError as error:
                        case.missing["enquiry"] = error.reason
                        await asyncio.sleep(0.2)
                        await self._recovered.wait()
                    else:
                        case.missing.pop("enquiry", None)
        case.limit = None

    # The end of a stall.

    def _end(self, episode: Episode) -> None:
        for timer in self._timers:
            timer.cancel()
        case, self._case = self._case, None
        if case is None or case.episode is not episode:
            case = self._open(episode)  # a slow reply that was never seen waiting
        if case.limit is not None and episode.ended_by != "reset":
            deadline = self._loop_time() + AFTER_STALL
            case.limit.reschedule(min(deadline, case.limit.when() or deadline))
        self.later.seen(episode.started, episode.waited_until)
        self._registry.set_running(self._record(case, None))
        self._start(self._complete(case))

    async def _complete(self, case: StallCase) -> None:
        """Wait for the enquiry of a stall that has ended, ask again if its answer came too early, and conclude."""
        episode = case.episode
        try:
            await self._wait_for_answers(case, episode)
        finally:  # also when the target is removed
            self._conclude(case, episode)

    async def _wait_for_answers(self, case: StallCase, episode: Episode) -> None:
        if case.enquiry is not None:
            await asyncio.wait({case.enquiry})  # it has its own deadline
        self._add_polled(case, episode)
        info = None if case.answers is None else case.answers.info
        if info is not None and (info.at < episode.longest_end or case.was_answered_early()):
            with suppress(TargetError):
                case.answers = await self._questioner.enquire(AFTER_STALL)

    def _add_polled(self, case: StallCase, episode: Episode) -> None:
        """Complete the answers by the replies that polls received meanwhile."""
        number = None if case.before is None else case.before.slow_number
        case.answers = self._polled.complete(case.answers or Answers(), episode.longest_end, number)

    def _conclude(self, case: StallCase, episode: Episode) -> None:
        self._forget_case()
        case.retransmits_after = self._retransmits_now()
        if self._is_closed and (case.answers is None or case.answers.info is None):
            episode.ended_by = "moved" if self._is_moved else "closed"
        evidence = case.evidence(self._settings.threshold, self._registry.lag_between, self._clock())
        verdict = classify(evidence)
        if verdict.cause == "exporter":
            self._registry.drop_running(self._target)
            self._registry.record_own_delay(evidence.started_wall, episode.seconds, verdict)
            return
        if others := self._registry.others_at_once(
            self._target, evidence.started_wall, evidence.started_wall + episode.seconds
        ):
            verdict = verdict._replace(why=f"{verdict.why}; {others}")
        commands = case.shown_commands(evidence) if self._settings.show_commands else ()
        record = replace(self._record(case, verdict), evidence=case.stored, commands=commands)
        self._registry.add(record)
        self._stall_metrics.ended(record.id, verdict.cause, record.started, record.seconds)
        for source, is_there in (case.answers or Answers()).availability():
            self._metrics.value(families.STALL_EVIDENCE, source).set(is_there)
        self._on_stall(record, verdict)

    def _record(self, case: StallCase, verdict: Verdict | None) -> StallRecord:
        episode, offset = case.episode, case.wall_offset
        return StallRecord(
            id=case.id,
            target=self._target,
            started=episode.started + offset,
            ended=None if episode.ended is None else episode.ended + offset,
            seconds=episode.seconds,
            slow=episode.slow,
            timeouts=episode.timeouts,
            verdict=verdict,
        )

    def _drop(self) -> None:
        """Forget a case whose pings were in time after all: only our own event loop was late."""
        if self._case is not None:
            self._case = None
            self._forget_case()
            self._registry.drop_running(self._target)

    def _forget_case(self) -> None:
        self._examined -= 1
        if not self._examined:
            self._polled = PolledReplies()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @staticmethod
    def _loop_time() -> float:
        return asyncio.get_running_loop().time()


def _why_no_tcp_info(target: TargetSettings) -> str:
    if target.endpoint.kind == "unix":
        return "unix socket"
    return "not available" if sys.platform.startswith("linux") else "not Linux"
