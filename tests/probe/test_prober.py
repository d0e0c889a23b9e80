"""Every scheduled probe ends with exactly one outcome: the round trip that a client would have, or a reason."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import BreakerSettings, ConnectionSettings, PollSettings, ProbeSettings, StallSettings
from redis_pulse.probe.session import ProbeSession
from tests.fakes import GARBAGE, LOADING, MAXCLIENTS, NOAUTH, PONG, FakeServer, ManualClock, Reply, error
from tests.harness import TargetHarness, eventually, metric_value

PATIENT = BreakerSettings(failure_threshold=1000, minimum_calls=1000)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_answered_ping_is_a_success(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.observer.reasons == ["ok"]
    assert watched.total() == 1
    assert metric_value(watched.metrics, "redis_operation_duration_seconds_count", operation="ping") == 1
    assert metric_value(watched.metrics, "redis_up") == 1
    assert [command[0] for command in server.received] == ["PING"]
    await watched.close()


async def test_pings_are_sent_when_due_although_earlier_ones_are_unanswered(server: FakeServer) -> None:
    """Every probe that falls into a stall shows it, for as long as the probe itself waited."""
    watched = TargetHarness(server.url, probe=ProbeSettings(interval=0.1, timeout=5))
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(10, apart=0.1)
    await server.arrived("PING", 11)
    watched.clock.advance(0.1)
    server.release()
    await watched.ended(11)
    waits = [round(outcome.seconds or 0, 3) for outcome in watched.observer.results[1:]]
    assert waits == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert server.accepted == 1
    await watched.close()


async def test_hung_server_times_out_and_late_replies_are_counted(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(4)
    assert watched.observer.reasons == ["ok", "timeout", "timeout", "timeout"]
    assert metric_value(watched.metrics, "redis_up") == 0
    assert watched.failures("timeout") == 3
    assert metric_value(watched.metrics, "redis_operation_duration_seconds_bucket", operation="ping", le="1.0") == 4
    watched.clock.advance(0.5)
    server.release()
    await watched.ended(5)
    assert watched.observer.reasons[-1] == "ok"
    assert metric_value(watched.metrics, "redis_late_replies_total") == 3
    assert metric_value(watched.metrics, "redis_last_late_reply_seconds") == 1.5
    assert server.accepted == 1  # a timeout is no reason to reconnect
    await watched.close()


async def test_downtime_starts_half_way_before_the_first_failed_ping(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    downtime = watched.prober.downtime
    await watched.probe_due()
    await watched.ended(1)
    then = watched.clock()
    assert (downtime.last_success, downtime.since(is_waiting=False)) == (then, None)
    server.hold()
    await watched.probes_due(3)
    assert watched.observer.reasons == ["ok", "timeout", "timeout"]
    assert (downtime.last_success, downtime.since(is_waiting=True)) == (then, then + 0.5)
    server.release()
    await watched.ended(4)
    assert (downtime.last_success, downtime.since(is_waiting=False)) == (watched.clock(), None)
    await watched.close()


async def test_downtime_starts_when_the_connection_was_lost(server: FakeServer) -> None:
    """No ping is sent at that moment: the next one is due 0.6 seconds later."""
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    lost = watched.clock.advance(0.4)
    await server.stop()
    await eventually(lambda: watched.prober._session is None)
    await watched.probes_due(1, apart=0.6)
    await watched.ended(2)
    assert watched.prober.downtime.since(is_waiting=False) == lost
    await watched.close()


async def test_reply_after_deadline_is_a_timeout_although_nothing_expired_it(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probe_due()
    await server.arrived("PING", 2)
    watched.clock.advance(3)
    server.release()
    await watched.ended(2)
    assert watched.observer.reasons == ["ok", "timeout"]
    await watched.close()


async def test_deadline_ends_a_probe_without_a_further_probe(server: FakeServer) -> None:
    watched = TargetHarness(server.url, clock=monotonic, probe=ProbeSettings(timeout=0.05), breaker=PATIENT)
    server.script("PING", "never")
    await watched.probe_due()
    await watched.ended(1)
    assert watched.observer.reasons == ["timeout"]
    await watched.close()


async def test_refused_pings_are_failures_and_tried_once_per_trial_interval() -> None:
    """Each ping has the reason. While the breaker is open, each trial interval has one attempt to connect."""
    watched = TargetHarness("redis://127.0.0.1:1")
    for count in range(1, 8):
        watched.clock.advance(1)
        await watched.probe_due()
        await watched.ended(count)
    assert watched.breaker.state == "open"
    assert watched.observer.reasons == ["refused"] * 7
    assert watched.observer.connects == ["refused"] * 7
    assert watched.total() == 7
    assert watched.not_sent() == 0
    assert watched.prober.last_failure is not None
    assert watched.prober.last_failure.reason == "refused"
    assert metric_value(watched.metrics, "redis_up") == 0
    await watched.close()


async def test_pings_between_two_connection_attempts_are_not_sent() -> None:
    watched = TargetHarness("redis://127.0.0.1:1", probe=ProbeSettings(interval=0.25))
    await watched.probe_due()
    await watched.ended(1)
    await watched.probes_due(3, apart=0.25)
    assert watched.observer.reasons == ["refused"] * 4
    assert watched.observer.connects == ["refused"]
    assert watched.not_sent() == 3
    assert watched.failures("refused") == watched.total() == 4
    assert watched.breaker.failures == 1, "nothing was tried, so the breaker gets no verdict"
    watched.clock.advance(0.25)
    await watched.probe_due()
    await watched.ended(5)
    assert watched.observer.connects == ["refused"] * 2
    await watched.close()


async def test_connection_without_good_reply_is_replaced_once_per_interval(server: FakeServer) -> None:
    """A full server accepts, sends an error and hangs up. Ten connects a second would not help it."""
    server.greeting = "reset"
    watched = TargetHarness(server.url, breaker=PATIENT, probe=ProbeSettings(interval=0.25))
    await watched.probe_due()
    await watched.ended(1)
    await watched.probes_due(3, apart=0.25)
    assert watched.observer.reasons == ["reset"] * 4
    assert server.accepted == 1
    await watched.close()


async def test_lost_connection_fails_pings_in_flight_and_is_replaced(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(2, apart=0.1)
    await server.arrived("PING", 3)
    await server.drop()
    await watched.ended(3)
    assert watched.observer.reasons == ["ok", "reset", "reset"]
    server.release()
    await watched.probe_due()
    await watched.ended(4)
    assert watched.observer.reasons[-1] == "ok"
    assert server.accepted == 2
    await watched.close()


async def test_connection_closed_while_idle_fails_no_ping(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    await server.drop("close")
    await eventually(lambda: watched.prober._session is None)
    await watched.probe_due()
    await watched.ended(2)
    assert watched.observer.reasons == ["ok", "ok"]
    await watched.close()


@pytest.mark.parametrize(
    ("reply", "reason", "unavailable"),
    [
        (LOADING, "loading", True),
        (error("BUSY Redis is busy running a script."), "busy", True),
        (error("MASTERDOWN Link with MASTER is down"), "masterdown", True),
        (NOAUTH, "auth", False),
        (error("NOPERM no permissions to run the 'ping' command"), "permission", False),
        (GARBAGE, "protocol", False),
    ],
)
async def test_error_reply_is_a_failure_with_its_own_reason(
    server: FakeServer, reply: Reply, reason: str, unavailable: bool
) -> None:
    server.script("PING", reply, PONG)
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.observer.reasons == [reason]
    assert watched.breaker.failures == int(unavailable)
    watched.clock.advance(1)
    await eventually(lambda: watched.prober._session is None or watched.prober._session.connection is not None)
    await watched.probe_due()
    await watched.ended(2)
    assert watched.observer.reasons == [reason, "ok"]
    await watched.close()


async def test_full_server_has_its_own_reason(server: FakeServer) -> None:
    server.greeting = MAXCLIENTS
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.observer.reasons in (["maxclients"], ["reset"])  # the kernel may deliver the RST before the text
    await watched.close()


async def test_wrong_password_is_a_failure_that_leaves_the_breaker_closed(server: FakeServer) -> None:
    server.script("AUTH", error("WRONGPASS invalid username-password pair or user is disabled."))
    watched = TargetHarness(server.url, password="wrong")
    for count in range(1, 8):
        watched.clock.advance(10)
        await watched.probe_due()
        await watched.ended(count)
    assert set(watched.observer.reasons) == {"auth"}
    assert watched.breaker.state == "closed"
    await watched.close()


async def test_error_before_hang_up_is_the_reason_of_pings_not_sent(server: FakeServer) -> None:
    server.script("PING", MAXCLIENTS)
    watched = TargetHarness(server.url, breaker=PATIENT, probe=ProbeSettings(interval=0.25))
    await watched.probe_due()
    await watched.ended(1)
    await server.drop("close")
    await eventually(lambda: watched.prober._session is None)
    await watched.probes_due(2, apart=0.25)
    assert watched.observer.reasons == ["maxclients"] * 3
    await watched.close()


async def test_open_breaker_sends_one_ping_per_trial_interval(server: FakeServer) -> None:
    """A ping that is not sent is one failure, with the reason that opened the breaker. It is also counted apart."""
    watched = TargetHarness(
        server.url, breaker=BreakerSettings(failure_threshold=2), probe=ProbeSettings(interval=0.25)
    )
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(9, apart=0.25)
    assert watched.breaker.state == "open"
    sent, total, not_sent = server.count("PING"), watched.total(), watched.not_sent()
    await watched.probes_due(8, apart=0.25)
    await server.arrived("PING", sent + 2)
    assert server.count("PING") == sent + 2
    assert watched.not_sent() == not_sent + 6
    assert watched.failures("rejected") == 0
    assert watched.total() == total + 8
    server.release()
    await watched.close()


async def test_first_answered_ping_closes_the_breaker(server: FakeServer) -> None:
    """The server continues after a stall: the trial ping in flight is answered, and the target is up at once."""
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(8)
    assert watched.breaker.state == "open"
    assert metric_value(watched.metrics, "redis_up") == 0
    server.release()
    await eventually(lambda: watched.breaker.state == "closed")
    assert metric_value(watched.metrics, "redis_up") == 1
    assert watched.observer.reasons == ["ok", *["timeout"] * 7, "ok"]
    assert (server.accepted, watched.not_sent()) == (1, 0)
    await watched.close()


async def test_returning_server_is_noticed_with_the_next_ping(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await server.stop()
    await watched.probes_due(140)
    await eventually(lambda: watched.prober.in_flight == 0)
    assert watched.breaker.state == "open"
    await server.start()
    await watched.probes_due(1)
    await eventually(lambda: watched.breaker.state == "closed")
    assert metric_value(watched.metrics, "redis_up") == 1
    assert watched.failures("rejected") == 0
    await watched.close()


async def test_breaker_forced_open_sends_nothing_and_rejects(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=BreakerSettings(force="open"))
    await watched.probes_due(3)
    assert watched.observer.reasons == ["rejected"] * 3
    assert (watched.failures("rejected"), watched.not_sent()) == (3, 3)
    assert server.accepted == 0
    await watched.close()


async def test_queue_of_connects_keeps_the_reason_of_a_target_that_was_down(server: FakeServer) -> None:
    """Nothing has shown since that it answers, so its failures keep the reason that opened the breaker."""
    watched = TargetHarness(server.url)
    await server.stop()
    for count in range(1, 6):
        watched.clock.advance(1)
        await watched.probe_due()
        await watched.ended(count)
    assert watched.breaker.state == "open"
    watched.client.connect_limiter = ConnectLimiter(1, max_hold_seconds=60)
    async with watched.client.connect_limiter.acquire():
        await watched.probes_due(1)
        await watched.probes_due(1, apart=1.5)
        assert (watched.failures("skipped"), watched.failures("refused")) == (0, 6)
        assert watched.not_sent() == 1
    await watched.close()


async def test_server_with_too_many_outstanding_replies_gets_no_more_pings(server: FakeServer) -> None:
    watched = TargetHarness(
        server.url, probe=ProbeSettings(timeout=100, interval=1, max_outstanding=3), breaker=PATIENT
    )
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(5)
    assert watched.observer.reasons == ["ok", "timeout", "timeout"]
    assert server.count("PING") <= 4
    assert watched.not_sent() == 2
    await watched.close()


async def test_connection_that_is_silent_for_long_is_closed(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT, probe=ProbeSettings(silence=5))
    await watched.probe_due()
    await watched.ended(1)
    watched.clock.advance(100)  # idle is not silent: no reply was expected
    server.hold()
    await watched.probe_due()
    await server.arrived("PING", 2)
    watched.clock.advance(6)
    await watched.probe_due()  # notices the silence, and waits for a new connection
    await eventually(lambda: server.accepted == 2)
    server.release()
    await watched.ended(3)
    assert watched.observer.reasons[:2] == ["ok", "timeout"]
    assert watched.observer.reasons[-1] == "ok"
    await watched.close()


async def test_probe_waits_for_a_connection_until_its_deadline(server: FakeServer) -> None:
    server.script("AUTH", "never")
    watched = TargetHarness(server.url, password="x", breaker=PATIENT)
    await watched.probe_due()
    await server.arrived("AUTH")
    await watched.probes_due(1, apart=1.5)
    assert watched.observer.reasons == ["timeout"]
    await watched.close()


async def test_connecting_has_its_own_deadline(server: FakeServer) -> None:
    server.script("AUTH", "never")
    quick = ConnectionSettings(socket_connect_timeout=0.05)
    watched = TargetHarness(server.url, password="x", breaker=PATIENT, connection=quick)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.observer.reasons == ["timeout"]
    assert watched.observer.connects == ["timeout"]
    await watched.close()


async def test_probes_that_came_due_while_the_exporter_was_late_are_skipped(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    watched.prober.skipped(3, watched.clock())
    assert watched.total() == 3
    assert watched.failures("skipped") == 3
    await watched.close()


async def test_stopping_releases_permits_and_closes_the_connection(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probe_due()
    await watched.close()
    assert watched.breaker.outstanding == 0
    assert watched.breaker.releases == 1
    await eventually(lambda: server.connected == 0)


async def test_probe_that_waits_for_other_connects_is_skipped(server: FakeServer) -> None:
    """A target must not look slow because a thousand others connect. It is not the target's fault."""
    watched = TargetHarness(server.url)
    watched.client.connect_limiter = ConnectLimiter(1, max_hold_seconds=60)
    async with watched.client.connect_limiter.acquire():
        await watched.probe_due()
        await watched.probes_due(1, apart=1.5)
        assert (watched.failures("skipped"), watched.failures("timeout")) == (1, 0)
        assert watched.observer.results == []
    await watched.ended(1)
    assert watched.observer.reasons == ["ok"]
    assert watched.total() == 2
    assert watched.breaker.failures == 0
    await watched.close()


async def test_lateness_of_a_send_is_published(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert metric_value(watched.metrics, "redis_exporter_probe_send_lateness_seconds_count") == 0, (
        "it waited for a connection"
    )
    watched.clock.advance(1)
    watched.prober.probe_due(watched.clock() - 0.25)
    await watched.ended(2)
    assert metric_value(watched.metrics, "redis_exporter_probe_send_lateness_seconds_count") == 1
    assert metric_value(watched.metrics, "redis_exporter_probe_send_lateness_seconds_sum") == 0.25
    await watched.close()


async def test_probes_in_flight_are_published_and_the_accounting_is_checked(
    server: FakeServer,
) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(2, apart=0.1)
    assert metric_value(watched.metrics, "redis_operations_in_flight", operation="ping") == 2
    assert metric_value(watched.metrics, "redis_exporter_accounting_errors_total") == 0
    watched.prober._accounting.totals.scheduled += 1  # a bug of the exporter, made by hand
    metric_value(watched.metrics, "redis_up")
    assert metric_value(watched.metrics, "redis_exporter_accounting_errors_total") > 0
    server.release()
    await watched.close()


async def test_longest_recent_ping_is_published(server: FakeServer) -> None:
    watched = TargetHarness(server.url, poll=PollSettings(interval=15), breaker=PATIENT)
    for wait in (0.25, 0.0):
        server.hold()
        await watched.probe_due()
        await server.arrived("PING")
        watched.clock.advance(wait)
        server.release()
        await eventually(lambda: watched.prober.in_flight == 0)
    longest = "redis_operation_duration_max_seconds"
    assert metric_value(watched.metrics, longest, operation="ping") == 0.25
    server.hold()
    await watched.probe_due()
    watched.clock.advance(20)
    await watched.probe_due()
    assert metric_value(watched.metrics, longest, operation="ping") == 1.0, "a timeout counts as its deadline"
    watched.clock.advance(31)
    assert metric_value(watched.metrics, longest, operation="ping") == 0
    server.release()
    await watched.close()


async def test_connecting_is_timed_by_phases(server: FakeServer) -> None:
    watched = TargetHarness(server.url, password="x")
    await watched.probe_due()
    await watched.ended(1)
    counts = {
        phase: metric_value(watched.metrics, "redis_connect_phase_duration_seconds_count", phase=phase)
        for phase in ("dns", "tcp", "tls", "auth")
    }
    assert counts == {"dns": 0, "tcp": 1, "tls": 0, "auth": 1}
    await watched.close()


async def test_error_before_the_first_ping_is_the_reason(server: FakeServer) -> None:
    """The server sent its error and hung up. The error is still in the socket when the PING cannot be sent."""
    server.greeting = MAXCLIENTS
    watched = TargetHarness(server.url, password=None)
    connection = await watched.client.connect_probe()
    await eventually(lambda: server.accepted == 1 and server.connected == 0)
    watched.prober._session = session = ProbeSession(watched.client, watched.target_metrics, watched.prober)
    await session.stop()
    session.connection = connection
    await watched.probe_due()
    await watched.probe_due()
    await watched.ended(1)
    assert watched.observer.reasons[0] == "maxclients"
    await watched.close()


class ProberLife:
    """A prober, a server, and the events that happen to them. Each event is the method of its name."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.begin()

    def begin(self) -> None:
        self.clock = ManualClock()
        self.wall_offset = 0
        self.due = 0
        self.watched = TargetHarness(
            self.server.url,
            clock=self.clock,
            wall=lambda: round(self.clock() * 1e9) + self.wall_offset,
            breaker=BreakerSettings(failure_threshold=3, open_interval=1),
        )

    async def probe(self) -> None:
        self.due += 1
        await self.watched.probe_due()

    async def skip(self) -> None:
        self.due += 2
        self.watched.prober.skipped(2, self.clock())

    async def hold(self) -> None:
        self.server.hold()

    async def release(self) -> None:
        self.server.release()

    async def drop(self) -> None:
        await self.server.drop("reset")

    async def close(self) -> None:
        await self.server.drop("close")

    async def refuse(self) -> None:
        self.server.greeting = None if self.server.greeting else MAXCLIENTS

    async def swallow(self) -> None:
        """The next PING is never answered, though later ones are."""
        self.server.script("PING", "swallow", PONG)

    async def twice(self) -> None:
        self.server.script("PING", "twice", PONG)

    async def loading(self) -> None:
        """An error has no number. It is taken for the reply to the oldest ping."""
        self.server.script("PING", LOADING, PONG)

    async def reject_number(self) -> None:
        """The server rejects one PING with an argument."""
        self.server.script("PING", error("ERR wrong number of arguments for 'ping' command"), PONG)

    async def late(self) -> None:
        self.clock.advance(1.1)

    async def set_wall_clock(self) -> None:
        self.wall_offset = 10**9 - self.wall_offset

    async def wait(self) -> None:
        await asyncio.sleep(0.001)

    async def reload(self) -> None:
        """The target changed: it is removed, and added again with new accounting."""
        await self.end()
        self.begin()

    async def end(self) -> None:
        """Stop in the middle of everything, and check the accounting."""
        prober = self.watched.prober
        in_flight = prober.in_flight
        assert self.due == prober._accounting.totals.ended + in_flight == self.watched.total()
        await self.watched.close()
        assert len(self.watched.observer.results) + self.watched.failures("skipped") + in_flight == self.due
        assert self.watched.breaker.outstanding == 0
        assert prober.balanced


EVENTS = (
    "probe",
    "probe",
    "hold",
    "release",
    "drop",
    "close",
    "refuse",
    "swallow",
    "swallow",
    "twice",
    "loading",
    "reject_number",
    "wait",
    "late",
    "set_wall_clock",
    "skip",
    "reload",
)


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_every_probe_ends_with_exactly_one_outcome_after_any_events(events: list[str]) -> None:
    """Stalls, delays, drops, refusals, replies that never come or come twice, steps of the wall clock, reloads."""
    asyncio.run(_live_through(events))


async def _live_through(events: list[str]) -> None:
    async with FakeServer() as server:
        life = ProberLife(server)
        for event in events:
            await getattr(life, event)()
            await asyncio.sleep(0)
            assert life.watched.prober.balanced
        await life.end()


async def test_pings_that_waited_for_a_connection_respect_the_limit(server: FakeServer) -> None:
    """A ping beyond ``max_outstanding`` once was in no list any more when the connection was made."""
    watched = TargetHarness(
        server.url, probe=ProbeSettings(interval=0.1, timeout=60, max_outstanding=3), breaker=PATIENT
    )
    watched.client.connect_limiter = ConnectLimiter(1, max_hold_seconds=60)
    async with watched.client.connect_limiter.acquire():
        await watched.probes_due(5, apart=0.1)
        server.hold()
    await watched.ended(2)
    assert watched.observer.reasons == ["timeout"] * 2
    assert watched.prober.balanced
    assert (watched.prober.in_flight, watched.not_sent()) == (3, 2)
    server.release()
    await watched.close()


async def test_ping_is_reported_once_when_it_is_overdue(server: FakeServer) -> None:
    """It is reported while it waits, so a stall can be examined before its ping has an outcome."""
    probe, stalls = ProbeSettings(interval=1, timeout=5), StallSettings(enabled=True)
    watched = TargetHarness(server.url, probe=probe, stalls=stalls, breaker=PATIENT, clock=monotonic)
    began = monotonic()
    await watched.probe_due()
    await watched.ended(1)
    was_delayed = monotonic() - began >= 0.1  # by a busy machine
    assert was_delayed or watched.observer.overdue == []
    watched.observer.overdue.clear()
    server.hold()
    began = monotonic()
    await watched.probe_due()
    await eventually(lambda: bool(watched.observer.overdue))
    assert monotonic() - began >= 0.1
    assert len(watched.observer.results) == 1
    await asyncio.sleep(0.25)
    assert len(watched.observer.overdue) == 1
    server.release()
    await watched.ended(2)
    await watched.close()


async def test_late_reply_is_reported_with_its_whole_wait(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probes_due(2)
    watched.clock.advance(1.5)
    server.release()
    await eventually(lambda: len(watched.observer.late_replies) == 2)
    assert [round(seconds, 3) for _, seconds in watched.observer.late_replies] == [2.5, 1.5]
    await watched.close()
