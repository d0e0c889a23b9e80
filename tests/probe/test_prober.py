"""Every slot ends in exactly one outcome: what a client felt, or why it felt nothing."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import BreakerSettings, ConnectionSettings, PollSettings, ProbeSettings
from redis_pulse.probe.session import ProbeSession
from tests.fakes import GARBAGE, LOADING, MAXCLIENTS, NOAUTH, PONG, FakeServer, ManualClock, Reply, error
from tests.harness import TargetHarness, eventually, metric_value

PATIENT = BreakerSettings(failure_threshold=1000, minimum_calls=1000)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_a_ping_that_is_answered_is_a_success(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons == ["ok"]
    assert watched.total() == 1
    assert metric_value(watched.instruments, "redis_operation_duration_seconds_count", operation="ping") == 1
    assert metric_value(watched.instruments, "redis_up") == 1
    assert [command[0] for command in server.received] == ["PING"]
    await watched.close()


async def test_pings_leave_when_due_although_earlier_ones_are_unanswered(server: FakeServer) -> None:
    """A stall is seen by every slot that falls into it, each by its own length."""
    watched = TargetHarness(server.url, probe=ProbeSettings(interval=0.1, timeout=5))
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(10, apart=0.1)
    await server.arrived("PING", 11)
    watched.clock.advance(0.1)
    server.release()
    await watched.ended(11)
    waits = [round(outcome.seconds or 0, 3) for outcome in watched.heard.outcomes[1:]]
    assert waits == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert server.accepted == 1
    await watched.close()


async def test_a_hung_server_times_out_and_its_late_replies_are_counted(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(4)
    assert watched.heard.reasons == ["ok", "timeout", "timeout", "timeout"]
    assert metric_value(watched.instruments, "redis_up") == 0
    assert watched.failures("timeout") == 3
    assert metric_value(watched.instruments, "redis_operation_duration_seconds_bucket", operation="ping", le="1.0") == 4
    watched.clock.advance(0.5)
    server.release()
    await watched.ended(5)
    assert watched.heard.reasons[-1] == "ok"
    assert metric_value(watched.instruments, "redis_late_replies_total") == 3
    assert metric_value(watched.instruments, "redis_last_late_reply_seconds") == 1.5
    assert server.accepted == 1  # a timeout is no reason to connect anew
    await watched.close()


async def test_since_when_a_target_is_silent_is_half_way_to_the_first_ping_that_failed(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    silence = watched.prober.silence
    await watched.probe_due()
    await watched.ended(1)
    then = watched.clock()
    assert (silence.answered, silence.since(is_waiting=False)) == (then, None)
    server.hold()
    await watched.slots(3)
    assert watched.heard.reasons == ["ok", "timeout", "timeout"]
    assert (silence.answered, silence.since(is_waiting=True)) == (then, then + 0.5)
    server.release()
    await watched.ended(4)
    assert (silence.answered, silence.since(is_waiting=False)) == (watched.clock(), None)
    await watched.close()


async def test_a_connection_that_is_lost_says_when_the_target_fell_silent(server: FakeServer) -> None:
    """Nobody asks just then: the next ping is due half a second later."""
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    lost = watched.clock.advance(0.4)
    await server.stop()
    await eventually(lambda: watched.prober._session is None)
    await watched.slots(1, apart=0.6)
    await watched.ended(2)
    assert watched.prober.silence.since(is_waiting=False) == lost
    await watched.close()


async def test_a_reply_that_comes_before_anybody_looked_but_after_the_deadline_is_a_timeout(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probe_due()
    await server.arrived("PING", 2)
    watched.clock.advance(3)
    server.release()
    await watched.ended(2)
    assert watched.heard.reasons == ["ok", "timeout"]
    await watched.close()


async def test_the_deadline_closes_a_slot_by_itself(server: FakeServer) -> None:
    """No further slot has to come by to see that one has timed out."""
    watched = TargetHarness(server.url, clock=monotonic, probe=ProbeSettings(timeout=0.05), breaker=PATIENT)
    server.script("PING", "never")
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons == ["timeout"]
    await watched.close()


async def test_nothing_listens() -> None:
    """Each ping says why. While the breaker is open, each trial interval has one attempt to connect."""
    watched = TargetHarness("redis://127.0.0.1:1")
    for count in range(1, 8):
        watched.clock.advance(1)
        await watched.probe_due()
        await watched.ended(count)
    assert watched.breaker.state == "open"
    assert watched.heard.reasons == ["refused"] * 7
    assert watched.heard.connects == ["refused"] * 7
    assert watched.total() == 7
    assert watched.not_sent() == 0
    assert watched.prober.last_failure is not None
    assert watched.prober.last_failure.reason == "refused"
    assert metric_value(watched.instruments, "redis_up") == 0
    await watched.close()


async def test_pings_between_two_attempts_to_connect_are_not_sent_and_say_why() -> None:
    watched = TargetHarness("redis://127.0.0.1:1", probe=ProbeSettings(interval=0.25))
    await watched.probe_due()
    await watched.ended(1)
    await watched.slots(3, apart=0.25)
    assert watched.heard.reasons == ["refused"] * 4
    assert watched.heard.connects == ["refused"]
    assert watched.not_sent() == 3
    assert watched.failures("refused") == watched.total() == 4
    assert watched.breaker.failures == 1, "nothing was tried, so the breaker learns nothing"
    watched.clock.advance(0.25)
    await watched.probe_due()
    await watched.ended(5)
    assert watched.heard.connects == ["refused"] * 2
    await watched.close()


async def test_a_connection_that_never_served_is_replaced_once_a_trial_interval(server: FakeServer) -> None:
    """A full server accepts, complains and hangs up; ten connects a second would not help it."""
    server.greeting = "reset"
    watched = TargetHarness(server.url, breaker=PATIENT, probe=ProbeSettings(interval=0.25))
    await watched.probe_due()
    await watched.ended(1)
    await watched.slots(3, apart=0.25)
    assert watched.heard.reasons == ["reset"] * 4
    assert server.accepted == 1
    await watched.close()


async def test_a_connection_that_is_lost_fails_what_was_in_flight_and_is_made_anew(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(2, apart=0.1)
    await server.arrived("PING", 3)
    await server.drop()
    await watched.ended(3)
    assert watched.heard.reasons == ["ok", "reset", "reset"]
    server.release()
    await watched.probe_due()
    await watched.ended(4)
    assert watched.heard.reasons[-1] == "ok"
    assert server.accepted == 2
    await watched.close()


async def test_a_connection_that_was_closed_while_idle_costs_no_slot(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    await server.drop("close")
    await eventually(lambda: watched.prober._session is None)
    await watched.probe_due()
    await watched.ended(2)
    assert watched.heard.reasons == ["ok", "ok"]
    await watched.close()


@pytest.mark.parametrize(
    ("answer", "reason", "unavailable"),
    [
        (LOADING, "loading", True),
        (error("BUSY Redis is busy running a script."), "busy", True),
        (error("MASTERDOWN Link with MASTER is down"), "masterdown", True),
        (NOAUTH, "auth", False),
        (error("NOPERM no permissions to run the 'ping' command"), "permission", False),
        (GARBAGE, "protocol", False),
    ],
)
async def test_an_error_reply_is_a_failure_with_its_own_reason(
    server: FakeServer, answer: Reply, reason: str, unavailable: bool
) -> None:
    server.script("PING", answer, PONG)
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons == [reason]
    assert watched.breaker.failures == int(unavailable)
    watched.clock.advance(1)
    await eventually(lambda: watched.prober._session is None or watched.prober._session.connection is not None)
    await watched.probe_due()
    await watched.ended(2)
    assert watched.heard.reasons == [reason, "ok"]
    await watched.close()


async def test_a_server_that_is_full_gives_its_reason(server: FakeServer) -> None:
    server.greeting = MAXCLIENTS
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons in (["maxclients"], ["reset"])  # the kernel may deliver the RST before the text
    await watched.close()


async def test_a_wrong_password_is_a_failure_that_leaves_the_breaker_closed(server: FakeServer) -> None:
    server.script("AUTH", error("WRONGPASS invalid username-password pair or user is disabled."))
    watched = TargetHarness(server.url, password="wrong")
    for count in range(1, 8):
        watched.clock.advance(10)
        await watched.probe_due()
        await watched.ended(count)
    assert set(watched.heard.reasons) == {"auth"}
    assert watched.breaker.state == "closed"
    await watched.close()


async def test_what_a_server_said_before_it_hung_up_is_the_reason_of_pings_not_sent(server: FakeServer) -> None:
    server.script("PING", MAXCLIENTS)
    watched = TargetHarness(server.url, breaker=PATIENT, probe=ProbeSettings(interval=0.25))
    await watched.probe_due()
    await watched.ended(1)
    await server.drop("close")
    await eventually(lambda: watched.prober._session is None)
    await watched.slots(2, apart=0.25)
    assert watched.heard.reasons == ["maxclients"] * 3
    await watched.close()


async def test_an_open_breaker_sends_one_ping_per_trial_interval(server: FakeServer) -> None:
    """A ping that is not sent is one failure, under the reason that opened the breaker, and is counted besides."""
    watched = TargetHarness(
        server.url, breaker=BreakerSettings(failure_threshold=2), probe=ProbeSettings(interval=0.25)
    )
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(9, apart=0.25)
    assert watched.breaker.state == "open"
    seen, before, left_out = server.count("PING"), watched.total(), watched.not_sent()
    await watched.slots(8, apart=0.25)
    await server.arrived("PING", seen + 2)
    assert server.count("PING") == seen + 2
    assert watched.not_sent() == left_out + 6
    assert watched.failures("rejected") == 0
    assert watched.total() == before + 8
    server.release()
    await watched.close()


async def test_the_first_answered_ping_closes_the_breaker(server: FakeServer) -> None:
    """The server went on after a stall: the trial ping on the wire is answered, and the target is up at once."""
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(8)
    assert watched.breaker.state == "open"
    assert metric_value(watched.instruments, "redis_up") == 0
    server.release()
    await eventually(lambda: watched.breaker.state == "closed")
    assert metric_value(watched.instruments, "redis_up") == 1
    assert watched.heard.reasons == ["ok", *["timeout"] * 7, "ok"]
    assert (server.accepted, watched.not_sent()) == (1, 0)
    await watched.close()


async def test_a_server_that_returns_is_noticed_with_the_next_ping(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await server.stop()
    await watched.slots(140)
    await eventually(lambda: watched.prober.in_flight == 0)
    assert watched.breaker.state == "open"
    await server.start()
    await watched.slots(1)
    await eventually(lambda: watched.breaker.state == "closed")
    assert metric_value(watched.instruments, "redis_up") == 1
    assert watched.failures("rejected") == 0
    await watched.close()


async def test_a_breaker_that_is_forced_open_sends_nothing_and_has_no_other_reason(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=BreakerSettings(force="open"))
    await watched.slots(3)
    assert watched.heard.reasons == ["rejected"] * 3
    assert (watched.failures("rejected"), watched.not_sent()) == (3, 3)
    assert server.accepted == 0
    await watched.close()


async def test_our_own_queue_of_connects_is_no_news_of_a_target_that_was_down(server: FakeServer) -> None:
    """Nobody has seen it answer since, so its failure keeps the reason that opened the breaker."""
    watched = TargetHarness(server.url)
    await server.stop()
    for count in range(1, 6):
        watched.clock.advance(1)
        await watched.probe_due()
        await watched.ended(count)
    assert watched.breaker.state == "open"
    watched.client.connect_limiter = ConnectLimiter(1, longest=60)
    async with watched.client.connect_limiter.acquire():
        await watched.slots(1)
        await watched.slots(1, apart=1.5)
        assert (watched.failures("skipped"), watched.failures("refused")) == (0, 6)
        assert watched.not_sent() == 1
    await watched.close()


async def test_a_server_that_owes_too_many_replies_is_sent_no_more(server: FakeServer) -> None:
    watched = TargetHarness(
        server.url, probe=ProbeSettings(timeout=100, interval=1, max_outstanding=3), breaker=PATIENT
    )
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(5)
    assert watched.heard.reasons == ["ok", "timeout", "timeout"]
    assert server.count("PING") <= 4
    assert watched.not_sent() == 2
    await watched.close()


async def test_a_connection_that_has_been_silent_for_long_is_given_up(server: FakeServer) -> None:
    watched = TargetHarness(server.url, breaker=PATIENT, probe=ProbeSettings(silence=5))
    await watched.probe_due()
    await watched.ended(1)
    watched.clock.advance(100)  # idle is not silent: nothing was asked
    server.hold()
    await watched.probe_due()
    await server.arrived("PING", 2)
    watched.clock.advance(6)
    await watched.probe_due()  # finds the silence, and waits for a new connection
    await eventually(lambda: server.accepted == 2)
    server.release()
    await watched.ended(3)
    assert watched.heard.reasons[:2] == ["ok", "timeout"]
    assert watched.heard.reasons[-1] == "ok"
    await watched.close()


async def test_a_slot_waits_for_its_connection_no_longer_than_its_deadline(server: FakeServer) -> None:
    server.script("AUTH", "never")
    watched = TargetHarness(server.url, password="x", breaker=PATIENT)
    await watched.probe_due()
    await server.arrived("AUTH")
    await watched.slots(1, apart=1.5)
    assert watched.heard.reasons == ["timeout"]
    await watched.close()


async def test_connecting_has_a_deadline_of_its_own(server: FakeServer) -> None:
    server.script("AUTH", "never")
    quick = ConnectionSettings(socket_connect_timeout=0.05)
    watched = TargetHarness(server.url, password="x", breaker=PATIENT, connection=quick)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons == ["timeout"]
    assert watched.heard.connects == ["timeout"]
    await watched.close()


async def test_slots_that_we_were_too_late_for_are_our_own_fault(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    watched.prober.skipped(3, watched.clock())
    assert watched.total() == 3
    assert watched.failures("skipped") == 3
    await watched.close()


async def test_stopping_gives_permits_back_and_closes_the_connection(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.probe_due()
    await watched.close()
    assert watched.breaker.outstanding == 0
    assert watched.breaker.releases == 1
    await eventually(lambda: server.connected == 0)


async def test_a_slot_that_waits_for_others_to_connect_is_skipped_and_not_the_targets_fault(server: FakeServer) -> None:
    """The ramp is ours: a target must not look slow because a thousand others connect."""
    watched = TargetHarness(server.url)
    watched.client.connect_limiter = ConnectLimiter(1, longest=60)
    async with watched.client.connect_limiter.acquire():
        await watched.probe_due()
        await watched.slots(1, apart=1.5)
        assert (watched.failures("skipped"), watched.failures("timeout")) == (1, 0)
        assert watched.heard.outcomes == []
    await watched.ended(1)
    assert watched.heard.reasons == ["ok"]
    assert watched.total() == 2
    assert watched.breaker.failures == 0
    await watched.close()


async def test_what_is_late_is_published(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert metric_value(watched.instruments, "redis_exporter_probe_send_lateness_seconds_count") == 0, (
        "it waited to connect"
    )
    watched.clock.advance(1)
    watched.prober.probe_due(watched.clock() - 0.25)
    await watched.ended(2)
    assert metric_value(watched.instruments, "redis_exporter_probe_send_lateness_seconds_count") == 1
    assert metric_value(watched.instruments, "redis_exporter_probe_send_lateness_seconds_sum") == 0.25
    await watched.close()


async def test_slots_without_an_outcome_are_published_and_the_books_are_held_against_each_other(
    server: FakeServer,
) -> None:
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    server.hold()
    await watched.slots(2, apart=0.1)
    assert metric_value(watched.instruments, "redis_operations_in_flight", operation="ping") == 2
    assert metric_value(watched.instruments, "redis_exporter_accounting_errors_total") == 0
    watched.prober._accounting.totals.scheduled += 1  # a fault of ours, made by hand
    metric_value(watched.instruments, "redis_up")
    assert metric_value(watched.instruments, "redis_exporter_accounting_errors_total") > 0
    server.release()
    await watched.close()


async def test_the_longest_ping_lately_is_published(server: FakeServer) -> None:
    watched = TargetHarness(server.url, poll=PollSettings(interval=15), breaker=PATIENT)
    for wait in (0.25, 0.0):
        server.hold()
        await watched.probe_due()
        await server.arrived("PING")
        watched.clock.advance(wait)
        server.release()
        await eventually(lambda: watched.prober.in_flight == 0)
    longest = "redis_operation_duration_max_seconds"
    assert metric_value(watched.instruments, longest, operation="ping") == 0.25
    server.hold()
    await watched.probe_due()
    watched.clock.advance(20)
    await watched.probe_due()
    assert metric_value(watched.instruments, longest, operation="ping") == 1.0, "a timeout counts as its deadline"
    watched.clock.advance(31)
    assert metric_value(watched.instruments, longest, operation="ping") == 0
    server.release()
    await watched.close()


async def test_connecting_is_timed_by_its_phases(server: FakeServer) -> None:
    watched = TargetHarness(server.url, password="x")
    await watched.probe_due()
    await watched.ended(1)
    counts = {
        phase: metric_value(watched.instruments, "redis_connect_phase_duration_seconds_count", phase=phase)
        for phase in ("dns", "tcp", "tls", "auth")
    }
    assert counts == {"dns": 0, "tcp": 1, "tls": 0, "auth": 1}
    await watched.close()


async def test_a_server_that_says_why_and_hangs_up_before_the_first_ping_is_heard(server: FakeServer) -> None:
    """Its words lie in the socket when our PING cannot leave any more."""
    server.greeting = MAXCLIENTS
    watched = TargetHarness(server.url, password=None)
    wire = await watched.client.connect_probe()
    await eventually(lambda: server.accepted == 1 and server.connected == 0)
    watched.prober._session = session = ProbeSession(watched.client, watched.of_target, watched.prober)
    await session.stop()
    session.connection = wire
    await watched.probe_due()
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons[0] == "maxclients"
    await watched.close()


class Life:
    """A prober, a server, and what happens to them; every event by its name."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.begin()

    def begin(self) -> None:
        self.clock = ManualClock()
        self.moved = 0
        self.slots = 0
        self.watched = TargetHarness(
            self.server.url,
            clock=self.clock,
            wall=lambda: round(self.clock() * 1e9) + self.moved,
            breaker=BreakerSettings(failure_threshold=3, open_interval=1),
        )

    async def slot(self) -> None:
        self.slots += 1
        await self.watched.probe_due()

    async def skip(self) -> None:
        self.slots += 2
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
        """An error bears no number: it answers whatever is the oldest."""
        self.server.script("PING", LOADING, PONG)

    async def ignorant(self) -> None:
        """A server that knows no PING with a word, for once."""
        self.server.script("PING", error("ERR wrong number of arguments for 'ping' command"), PONG)

    async def late(self) -> None:
        self.clock.advance(1.1)

    async def set_wall_clock(self) -> None:
        self.moved = 10**9 - self.moved

    async def wait(self) -> None:
        await asyncio.sleep(0.001)

    async def reload(self) -> None:
        """The target changed: it goes, and comes back with new books."""
        await self.end()
        self.begin()

    async def end(self) -> None:
        """Stop, in the middle of whatever it is; and hold the books against each other."""
        prober = self.watched.prober
        in_flight = prober.in_flight
        assert self.slots == prober._accounting.totals.ended + in_flight == self.watched.total()
        await self.watched.close()
        assert len(self.watched.heard.outcomes) + self.watched.failures("skipped") + in_flight == self.slots
        assert self.watched.breaker.outstanding == 0
        assert prober.balanced


EVENTS = (
    "slot",
    "slot",
    "hold",
    "release",
    "drop",
    "close",
    "refuse",
    "swallow",
    "swallow",
    "twice",
    "loading",
    "ignorant",
    "wait",
    "late",
    "set_wall_clock",
    "skip",
    "reload",
)


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_every_slot_ends_in_exactly_one_outcome_whatever_happens(events: list[str]) -> None:
    """Stalls, delays, drops, refusals, replies that never come or come twice, steps of the wall's clock, reloads."""
    asyncio.run(_live_through(events))


async def _live_through(events: list[str]) -> None:
    async with FakeServer() as server:
        life = Life(server)
        for event in events:
            await getattr(life, event)()
            await asyncio.sleep(0)
            assert life.watched.prober.balanced
        await life.end()


async def test_pings_that_wait_for_a_connection_are_not_more_than_may_be_unanswered(server: FakeServer) -> None:
    """One too many was in no list any more when the connection was made."""
    watched = TargetHarness(
        server.url, probe=ProbeSettings(interval=0.1, timeout=60, max_outstanding=3), breaker=PATIENT
    )
    watched.client.connect_limiter = ConnectLimiter(1, longest=60)
    async with watched.client.connect_limiter.acquire():
        await watched.slots(5, apart=0.1)
        server.hold()
    await watched.ended(2)
    assert watched.heard.reasons == ["timeout"] * 2
    assert watched.prober.balanced
    assert (watched.prober.in_flight, watched.not_sent()) == (3, 2)
    server.release()
    await watched.close()
