"""A reply that never comes, or comes twice, costs what it must and is never taken for another's."""

import ssl
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from redis_pulse.client.probe_connection import NUMBERS
from redis_pulse.config import ProbeSettings, TlsSettings
from tests.fakes import LOADING, PONG, FakeServer, Reply, bulk, error
from tests.harness import TargetHarness, eventually, metric_value
from tests.probe.test_prober import PATIENT

#: Ten pings a second that may take five: several are on the wire at once.
OFTEN = ProbeSettings(interval=0.1, timeout=5)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def up(server: FakeServer, probe: ProbeSettings = OFTEN) -> TargetHarness:
    """Watch a server whose first ping was answered."""
    watched = TargetHarness(server.url, probe=probe, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    return watched


async def answered_together(watched: TargetHarness, server: FakeServer, count: int) -> None:
    """Let so many pings leave, a tenth of a second apart, and the server answer a tenth after the last."""
    server.hold()
    await watched.slots(count, apart=0.1)
    await server.arrived("PING", 1 + count)
    watched.clock.advance(0.1)
    server.release()
    await watched.ended(1 + count)


def seconds(watched: TargetHarness) -> list[float | None]:
    return [outcome.seconds and round(outcome.seconds, 3) for outcome in watched.heard.outcomes[1:]]


async def test_every_ping_has_the_number_after_the_one_before(server: FakeServer) -> None:
    watched = await up(server)
    session = watched.prober._session
    assert session is not None
    assert session.connection is not None
    session.connection._next = NUMBERS - 1
    await answered_together(watched, server, 2)
    assert server.received[1:] == [("PING", "999999"), ("PING", "000000")]
    assert watched.heard.reasons == ["ok"] * 3
    await watched.close()


async def test_a_reply_that_is_swallowed_costs_its_own_slot_and_shifts_no_other(server: FakeServer) -> None:
    watched = await up(server)
    server.script("PING", PONG, "swallow", PONG)
    await answered_together(watched, server, 4)
    assert watched.heard.reasons[1:] == ["ok", "protocol", "ok", "ok"]
    assert seconds(watched) == [0.4, None, 0.2, 0.1], "each by its own length"
    assert watched.failures("protocol") == 1
    assert server.accepted == 1, "nothing is wrong with the connection"
    assert watched.breaker.failures == 0
    await watched.slots(1, apart=0.1)
    await watched.ended(6)
    assert watched.heard.reasons[-1] == "ok"
    await watched.close()


async def test_several_that_are_swallowed_in_a_row_are_found_by_the_first_reply_after_them(server: FakeServer) -> None:
    watched = await up(server)
    server.script("PING", "swallow", "swallow", "swallow", PONG)
    await answered_together(watched, server, 4)
    assert watched.heard.reasons[1:] == ["protocol", "protocol", "protocol", "ok"]
    assert seconds(watched)[-1] == 0.1
    await watched.close()


async def test_a_reply_that_is_swallowed_and_missed_by_its_deadline_is_a_timeout_and_only_that(
    server: FakeServer,
) -> None:
    """With one ping a second and a deadline of one, the next ping comes too late to tell more."""
    watched = await up(server, ProbeSettings(interval=1, timeout=1))
    server.script("PING", "swallow", PONG)
    await watched.slots(2, apart=1.0)
    await watched.ended(3)
    assert watched.heard.reasons == ["ok", "timeout", "ok"]
    assert metric_value(watched.instruments, "redis_late_replies_total") == 0
    assert watched.total() == 3
    await watched.close()


async def test_errors_bear_no_number_and_the_next_number_sets_right_what_they_shifted(server: FakeServer) -> None:
    watched = await up(server)
    server.script("PING", "swallow", LOADING, LOADING, PONG)
    await answered_together(watched, server, 4)
    assert watched.heard.reasons[1:] == ["loading", "loading", "protocol", "ok"]
    assert seconds(watched)[-1] == 0.1
    await watched.close()


@pytest.mark.parametrize("number", ["twice", "foreign"])
async def test_a_reply_that_came_twice_or_is_somebody_elses_ends_the_connection(
    server: FakeServer, number: str
) -> None:
    """Nothing that comes on such a connection can be believed, and what waits there is failed for that reason."""
    watched = await up(server)
    mine = int(server.received[0][1])
    foreign = bulk(f"{(mine + NUMBERS // 2) % NUMBERS:06}")
    server.script("PING", "twice" if number == "twice" else foreign, PONG)
    await answered_together(watched, server, 3)
    assert watched.heard.reasons[1:] == (["ok"] if number == "twice" else ["protocol"]) + ["protocol"] * 2
    await watched.probe_due()
    await watched.ended(5)
    assert watched.heard.reasons[-1] == "ok"
    assert server.accepted == 2
    await watched.close()


@pytest.mark.parametrize("answer", [b"$5\r\n00000\r\n", b"$6\r\nabcdef\r\n", b"$2\r\n000000\r\n", b"$-1\r\n\r\n"])
async def test_a_string_that_is_no_number_of_ours_is_a_breach_of_protocol(server: FakeServer, answer: bytes) -> None:
    watched = await up(server)
    server.script("PING", Reply(answer), PONG)
    await watched.probe_due()
    await watched.ended(2)
    assert watched.heard.reasons == ["ok", "protocol"]
    await watched.close()


async def test_a_number_in_pieces_is_one_number(server: FakeServer) -> None:
    watched = await up(server)
    number = f"{(int(server.received[0][1]) + 1) % NUMBERS:06}"
    server.script("PING", Reply(bulk(number).data, pieces=12))
    await watched.probe_due()
    await watched.ended(2)
    assert watched.heard.reasons == ["ok", "ok"]
    await watched.close()


async def test_a_server_that_answers_pong_whatever_the_word_is_believed(server: FakeServer) -> None:
    """Some proxies answer PING themselves."""
    server.script("PING", Reply(b"+PONG\r\n", pieces=2))
    watched = await up(server)
    await answered_together(watched, server, 3)
    assert seconds(watched) == [0.3, 0.2, 0.1]
    await watched.close()


async def test_a_server_that_knows_no_word_has_answered_all_the_same_and_is_sent_none_any_more(
    server: FakeServer,
) -> None:
    server.script("PING", error("ERR wrong number of arguments for 'ping' command"), PONG)
    watched = await up(server)
    await watched.slots(2, apart=0.1)
    await watched.ended(3)
    assert watched.heard.reasons == ["ok"] * 3
    assert [len(command) for command in server.received] == [2, 1, 1]
    await watched.close()


async def test_after_a_connection_that_died_of_its_first_ping_the_next_one_is_tried_without_numbers(
    server: FakeServer,
) -> None:
    """There are proxies that hang up on what they do not know; the one after that is tried with numbers again."""
    server.script("PING", "reset", PONG)
    watched = TargetHarness(server.url, probe=OFTEN, breaker=PATIENT)
    for count in (1, 2):
        await watched.probe_due()
        await watched.ended(count)
        watched.clock.advance(1)
    await server.drop("close")
    await eventually(lambda: watched.prober._session is None)
    await watched.probe_due()
    await watched.ended(3)
    assert watched.heard.reasons == ["reset", "ok", "ok"]
    assert [len(command) for command in server.received] == [2, 1, 2]
    await watched.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel stamps on Linux only")
async def test_under_tls_numbers_are_found_and_the_kernels_stamp_with_them(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FakeServer(tls=context) as server:
        trusting = TlsSettings(ca_file=tmp_path / "ca.pem")
        watched = TargetHarness(
            server.url, clock=time.monotonic, wall=time.time_ns, probe=OFTEN, breaker=PATIENT, tls=trusting
        )
        server.script("PING", PONG, "swallow", PONG)
        for count in (1, 1, 3):
            await watched.probe_due()
            await watched.ended(count)
        assert watched.heard.reasons == ["ok", "protocol", "ok"]
        assert metric_value(watched.instruments, "redis_probe_clock_total", clock="kernel") == 2
        await watched.close()
