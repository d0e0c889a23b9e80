"""A reply that never comes, or comes twice, is never taken for the reply to another ping."""

import ssl
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from redis_pulse.client.probe_connection import NUMBER_COUNT
from redis_pulse.config import ProbeSettings, TlsSettings
from tests.fakes import LOADING, PONG, FakeServer, Reply, bulk, error
from tests.harness import TargetHarness, eventually, metric_value
from tests.probe.test_prober import PATIENT

#: Ten pings per second with a deadline of five seconds: several are in flight at once.
OFTEN = ProbeSettings(interval=0.1, timeout=5)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def harness(server: FakeServer, probe: ProbeSettings = OFTEN) -> TargetHarness:
    """Return a target whose first ping was answered."""
    watched = TargetHarness(server.url, probe=probe, breaker=PATIENT)
    await watched.probe_due()
    await watched.ended(1)
    return watched


async def answer_together(watched: TargetHarness, server: FakeServer, count: int) -> None:
    """Send ``count`` pings, a tenth of a second apart. The server answers all a tenth after the last."""
    server.hold()
    await watched.probes_due(count, apart=0.1)
    await server.arrived("PING", 1 + count)
    watched.clock.advance(0.1)
    server.release()
    await watched.ended(1 + count)


def seconds(watched: TargetHarness) -> list[float | None]:
    return [result.seconds and round(result.seconds, 3) for result in watched.observer.results[1:]]


async def test_pings_are_numbered_consecutively(server: FakeServer) -> None:
    watched = await harness(server)
    session = watched.prober._session
    assert session is not None
    assert session.connection is not None
    session.connection._next_number = NUMBER_COUNT - 1
    await answer_together(watched, server, 2)
    assert server.received[1:] == [("PING", "999999"), ("PING", "000000")]
    assert watched.observer.reasons == ["ok"] * 3
    await watched.close()


async def test_swallowed_reply_fails_its_own_ping_and_shifts_no_other(server: FakeServer) -> None:
    watched = await harness(server)
    server.script("PING", PONG, "swallow", PONG)
    await answer_together(watched, server, 4)
    assert watched.observer.reasons[1:] == ["ok", "protocol", "ok", "ok"]
    assert seconds(watched) == [0.4, None, 0.2, 0.1], "each as long as its own ping waited"
    assert watched.failures("protocol") == 1
    assert server.accepted == 1, "the connection is kept"
    assert watched.breaker.failures == 0
    await watched.probes_due(1, apart=0.1)
    await watched.ended(6)
    assert watched.observer.reasons[-1] == "ok"
    await watched.close()


async def test_several_swallowed_replies_are_noticed_with_the_next_reply(server: FakeServer) -> None:
    watched = await harness(server)
    server.script("PING", "swallow", "swallow", "swallow", PONG)
    await answer_together(watched, server, 4)
    assert watched.observer.reasons[1:] == ["protocol", "protocol", "protocol", "ok"]
    assert seconds(watched)[-1] == 0.1
    await watched.close()


async def test_swallowed_reply_is_only_a_timeout_if_the_deadline_comes_first(
    server: FakeServer,
) -> None:
    """With one ping per second and a deadline of one second, the next reply comes too late to show it."""
    watched = await harness(server, ProbeSettings(interval=1, timeout=1))
    server.script("PING", "swallow", PONG)
    await watched.probes_due(2, apart=1.0)
    await watched.ended(3)
    assert watched.observer.reasons == ["ok", "timeout", "ok"]
    assert metric_value(watched.metrics, "redis_late_replies_total") == 0
    assert watched.total() == 3
    await watched.close()


async def test_error_replies_have_no_number_and_the_next_number_corrects_them(server: FakeServer) -> None:
    watched = await harness(server)
    server.script("PING", "swallow", LOADING, LOADING, PONG)
    await answer_together(watched, server, 4)
    assert watched.observer.reasons[1:] == ["loading", "loading", "protocol", "ok"]
    assert seconds(watched)[-1] == 0.1
    await watched.close()


@pytest.mark.parametrize("number", ["twice", "foreign"])
async def test_duplicate_or_foreign_reply_ends_the_connection(server: FakeServer, number: str) -> None:
    """No further reply on the connection can be trusted, so the pings in flight there fail."""
    watched = await harness(server)
    own = int(server.received[0][1])
    foreign = bulk(f"{(own + NUMBER_COUNT // 2) % NUMBER_COUNT:06}")
    server.script("PING", "twice" if number == "twice" else foreign, PONG)
    await answer_together(watched, server, 3)
    assert watched.observer.reasons[1:] == (["ok"] if number == "twice" else ["protocol"]) + ["protocol"] * 2
    await watched.probe_due()
    await watched.ended(5)
    assert watched.observer.reasons[-1] == "ok"
    assert server.accepted == 2
    await watched.close()


@pytest.mark.parametrize("reply", [b"$5\r\n00000\r\n", b"$6\r\nabcdef\r\n", b"$2\r\n000000\r\n", b"$-1\r\n\r\n"])
async def test_string_that_is_no_known_number_is_a_protocol_error(server: FakeServer, reply: bytes) -> None:
    watched = await harness(server)
    server.script("PING", Reply(reply), PONG)
    await watched.probe_due()
    await watched.ended(2)
    assert watched.observer.reasons == ["ok", "protocol"]
    await watched.close()


async def test_number_in_pieces_is_one_number(server: FakeServer) -> None:
    watched = await harness(server)
    number = f"{(int(server.received[0][1]) + 1) % NUMBER_COUNT:06}"
    server.script("PING", Reply(bulk(number).data, pieces=12))
    await watched.probe_due()
    await watched.ended(2)
    assert watched.observer.reasons == ["ok", "ok"]
    await watched.close()


async def test_plain_pong_is_accepted_as_the_reply_to_a_numbered_ping(server: FakeServer) -> None:
    """Some proxies answer PING themselves."""
    server.script("PING", Reply(b"+PONG\r\n", pieces=2))
    watched = await harness(server)
    await answer_together(watched, server, 3)
    assert seconds(watched) == [0.3, 0.2, 0.1]
    await watched.close()


async def test_server_that_rejects_numbers_has_answered_and_gets_no_more(
    server: FakeServer,
) -> None:
    server.script("PING", error("ERR wrong number of arguments for 'ping' command"), PONG)
    watched = await harness(server)
    await watched.probes_due(2, apart=0.1)
    await watched.ended(3)
    assert watched.observer.reasons == ["ok"] * 3
    assert [len(command) for command in server.received] == [2, 1, 1]
    await watched.close()


async def test_connection_after_a_reset_by_the_first_ping_uses_no_numbers(
    server: FakeServer,
) -> None:
    """Some proxies hang up on a PING with an argument. The connection after that uses numbers again."""
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
    assert watched.observer.reasons == ["reset", "ok", "ok"]
    assert [len(command) for command in server.received] == [2, 1, 2]
    await watched.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernel timestamps exist on Linux only")
async def test_numbers_and_kernel_timestamps_work_under_tls(tmp_path: Path) -> None:
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
        assert watched.observer.reasons == ["ok", "protocol", "ok"]
        assert metric_value(watched.metrics, "redis_probe_clock_total", clock="kernel") == 2
        await watched.close()
