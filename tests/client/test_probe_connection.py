"""The prober's own connection: TCP, TLS, unix; what it sends, what it makes of what arrives, and when that was."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import pytest
import trustme

from redis_pulse import errors
from redis_pulse.client import ProbeConnection, Received, phases_of, probe_connect
from redis_pulse.config import BreakerSettings, ConnectionSettings, TlsSettings
from tests.fakes import GARBAGE, LOADING, MAXCLIENTS, PONG, FakeServer, Reply, error
from tests.harness import TargetHarness, target_settings

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel stamps on Linux only")
TICK = 0.05


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@asynccontextmanager
async def dialled(
    url: str, *, real: bool = False, **changes: Any
) -> AsyncIterator[tuple[ProbeConnection, dict[str, float]]]:
    """Dial, with hand clocks or real ones; and the phases that were timed."""
    watched = TargetHarness(url, clock=monotonic if real else None, wall=time_ns if real else None, **changes)
    phases: dict[str, float] = {}
    wire = await watched.client.connect_probe(phases.__setitem__)
    try:
        yield wire, phases
    finally:
        wire.close()
        await watched.close()


async def arrival(wire: ProbeConnection) -> Received:
    """Wait for replies; the wire itself never waits."""
    async with asyncio.timeout(5):
        while True:
            if (found := wire.receive()) is not None:
                return found
            await asyncio.sleep(0.001)


async def replies(wire: ProbeConnection, count: int) -> list[errors.TargetError | None]:
    found: list[errors.TargetError | None] = []
    while len(found) < count:
        found += [wire.parse_error(line) for line in (await arrival(wire)).lines]
    return found


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, *names: str, tickets: int = 2) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.num_tickets = tickets
    authority.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path) -> TlsSettings:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return TlsSettings(ca_file=tmp_path / "ca.pem")


async def test_replies_come_in_the_order_of_the_pings(server: FakeServer) -> None:
    server.script("PING", PONG, LOADING, error("BUSY Redis is busy running a script."), PONG)
    async with dialled(server.url) as (wire, _):
        for _ in range(4):
            wire.ping()
        assert [found and found.reason for found in await replies(wire, 4)] == [None, "loading", "busy", None]
    assert server.received == [("PING",)] * 4


async def test_a_ping_may_carry_a_number_which_comes_back(server: FakeServer) -> None:
    server.script("PING", PONG, LOADING, PONG)
    async with dialled(server.url) as (wire, _):
        assert (wire.ping().number, wire.parse_sequence(b"+PONG")) == (None, None)
        await replies(wire, 1)
        wire.numbered = True
        sent = [wire.ping().number for _ in range(2)]
        lines: list[bytes] = []
        while len(lines) < 2:
            lines += (await arrival(wire)).lines
        assert [wire.parse_sequence(line) for line in lines] == [None, sent[1]]
        with pytest.raises(errors.ProtocolError):
            wire.parse_sequence(b"$nothing")
    assert server.received == [("PING",), *(("PING", f"{number:06}") for number in sent)]


async def test_nothing_but_auth_is_sent_before_the_first_ping(server: FakeServer) -> None:
    """No HELLO, no CLIENT SETINFO, no SELECT: a restricted user would be denied them."""
    async with dialled(server.url, username="me", password="hunter2", db=3) as (wire, phases):
        wire.ping()
        await replies(wire, 1)
    assert server.received == [("AUTH", "me", "hunter2"), ("PING",)]
    assert list(phases) == ["tcp", "auth"]


async def test_a_server_without_users_is_given_the_password_alone(server: FakeServer) -> None:
    server.script("AUTH", error("ERR wrong number of arguments for 'auth' command"), Reply(b"+OK\r\n"))
    async with dialled(server.url, username="me", password="hunter2"):
        assert server.received == [("AUTH", "me", "hunter2"), ("AUTH", "hunter2")]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error("WRONGPASS invalid username-password pair or user is disabled."), errors.AuthError),
        (error("ERR Client sent AUTH, but no password is set"), errors.AuthError),
        (LOADING, errors.LoadingError),
        (GARBAGE, errors.ProtocolError),
        (Reply(b"+OK\r\n+OK\r\n"), errors.ProtocolError),
        ("close", errors.ConnectionResetByTargetError),
        ("reset", errors.ConnectionResetByTargetError),
        ("never", errors.OperationTimeoutError),
    ],
)
async def test_what_goes_wrong_with_auth_has_its_reason_and_does_not_tell_the_password(
    server: FakeServer, answer: object, expected: type[errors.TargetError]
) -> None:
    server.script("AUTH", answer)  # type: ignore[arg-type]
    watched = TargetHarness(server.url, password="hunter2", connection=ConnectionSettings(socket_connect_timeout=0.2))
    with pytest.raises(expected) as raised:
        await watched.client.connect_probe()
    assert "hunter2" not in str(raised.value)
    assert watched.heard.connects == [expected.reason]
    await watched.close()


async def test_a_server_that_quotes_the_password_is_not_repeated(server: FakeServer) -> None:
    server.script("AUTH", error("ERR unknown command 'AUTH', with args beginning with: 'hunter2' "))
    watched = TargetHarness(server.url, password="hunter2")
    with pytest.raises(errors.UnknownCommandError) as raised:
        await watched.client.connect_probe()
    assert "hunter2" not in str(raised.value)
    await watched.close()


async def test_a_password_file_is_read_at_every_connection(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    watched = TargetHarness(server.url, password_file=file)
    for word in ("first", "second"):
        file.write_text(f"{word}\n")
        (await watched.client.connect_probe()).close()
    assert server.received == [("AUTH", "first"), ("AUTH", "second")]
    file.unlink()
    with pytest.raises(errors.AuthError, match="cannot read the password file"):
        await watched.client.connect_probe()
    await watched.close()


async def test_a_reply_in_pieces_is_one_reply(server: FakeServer) -> None:
    server.script("PING", Reply(b"+PONG\r\n", pieces=7))
    async with dialled(server.url) as (wire, _):
        wire.ping()
        assert (await arrival(wire)).lines == [b"+PONG"]


async def test_anything_but_a_pong_or_an_error_is_a_breach_of_protocol(server: FakeServer) -> None:
    server.script("PING", GARBAGE)
    async with dialled(server.url) as (wire, _):
        wire.ping()
        with pytest.raises(errors.ProtocolError):
            await replies(wire, 1)


def _send_on_and_on(wire: ProbeConnection) -> None:
    for _ in range(1_000_000):  # the server's loop is ours, and does not turn
        wire.ping()


@pytest.mark.parametrize("act", ["close", "reset"])
async def test_a_connection_that_is_gone_is_a_reset(server: FakeServer, act: str) -> None:
    server.script("PING", act)  # type: ignore[arg-type]
    async with dialled(server.url) as (wire, _):
        wire.ping()
        with pytest.raises(errors.ConnectionResetByTargetError):
            await replies(wire, 1)


async def test_a_server_that_reads_nothing_any_more_takes_no_ping(server: FakeServer) -> None:
    """Its window is shut and our buffer full: a ping that cannot leave whole is no ping."""
    async with dialled(server.url) as (wire, _):
        wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with pytest.raises(errors.OperationTimeoutError, match="reads nothing"):
            _send_on_and_on(wire)


async def test_a_wire_that_is_closed_cannot_be_used(server: FakeServer) -> None:
    async with dialled(server.url) as (wire, _):
        wire.listen(lambda: None)
        wire.close()
        wire.close()
        for use in (wire.ping, wire.receive):
            with pytest.raises(errors.ConnectionResetByTargetError):
                use()


async def test_whoever_listens_is_called_when_something_arrives(server: FakeServer) -> None:
    called = asyncio.Event()
    async with dialled(server.url) as (wire, _):
        wire.listen(called.set)
        wire.ping()
        await asyncio.wait_for(called.wait(), 5)
        assert await replies(wire, 1) == [None]


async def test_sent_and_received_are_taken_just_before_and_just_after(server: FakeServer) -> None:
    async with dialled(server.url, real=True) as (wire, _):
        before = monotonic(), time_ns()
        sent = wire.ping()
        after = monotonic(), time_ns()
        assert before[0] <= sent.at <= sent.at + sent.took <= after[0]
        assert before[1] <= sent.at_ns <= after[1]
        found = await arrival(wire)
        assert after[0] <= found.at <= monotonic()
        assert after[1] <= found.at_ns <= time_ns()


@linux_only
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
async def test_the_kernel_stamps_what_arrives_by_tcp(family: str) -> None:
    server = FakeServer()
    server.host = "127.0.0.1" if family == "ipv4" else "::1"
    try:
        await server.start()
    except OSError as reason:
        pytest.skip(f"no {family} here: {reason}")
    try:
        address = f"[{server.host}]" if family == "ipv6" else server.host
        async with dialled(f"redis://{address}:{server.port}", real=True) as (wire, _):
            sent = wire.ping()
            found = await arrival(wire)
            assert found.kernel_timestamp is not None
            assert sent.at_ns <= found.kernel_timestamp <= found.at_ns
    finally:
        await server.stop()


@linux_only
async def test_the_stamp_is_when_it_arrived_and_not_when_we_came_to_read_it(server: FakeServer) -> None:
    async with dialled(server.url, real=True) as (wire, _):
        sent = wire.ping()
        await server.arrived("PING")
        await asyncio.sleep(TICK)  # the reply has been lying there since
        found = await arrival(wire)
        assert found.kernel_timestamp is not None
        assert found.kernel_timestamp - sent.at_ns < TICK / 2 * 1e9 < found.at_ns - sent.at_ns


async def test_a_unix_socket_has_no_stamp_and_works(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server, dialled(server.url, real=True) as (wire, phases):
        wire.ping()
        found = await arrival(wire)
        assert (found.lines, found.kernel_timestamp) == ([b"+PONG"], None)
        assert list(phases) == ["tcp"]


@pytest.mark.parametrize("tickets", [0, 2])
async def test_tls_works_with_and_without_tickets_and_has_stamps(
    authority: trustme.CA, trusting: TlsSettings, tickets: int
) -> None:
    """A session ticket arrives before the first reply, with a stamp of its own that is nobody's."""
    server = FakeServer(tls=tls_server(authority, tickets=tickets))
    async with server, dialled(server.url, real=True, tls=trusting, password="x") as (wire, phases):
        await asyncio.sleep(TICK)
        for _ in range(3):
            sent = wire.ping()
            found = await arrival(wire)
            assert found.lines == [b"+PONG"]
            if sys.platform.startswith("linux"):
                assert found.kernel_timestamp is not None
                assert sent.at_ns <= found.kernel_timestamp <= found.at_ns
        assert list(phases) == ["tcp", "tls", "auth"]
        assert wire.certificate_expires is not None
        assert wire.certificate_expires > time_ns() / 1e9


async def test_a_tls_reply_in_pieces_and_many_at_once(authority: trustme.CA, trusting: TlsSettings) -> None:
    async with FakeServer(tls=tls_server(authority)) as server:
        server.script("PING", Reply(b"+PONG\r\n", pieces=7), LOADING, PONG)
        async with dialled(server.url, tls=trusting) as (wire, _):
            for _ in range(3):
                wire.ping()
            assert [found and found.reason for found in await replies(wire, 3)] == [None, "loading", None]
            dropping = asyncio.create_task(server.drop("close"))
            with pytest.raises(errors.ConnectionResetByTargetError):
                await replies(wire, 1)
            wire.close()  # says good-bye, which the server waits for
            await dropping


async def refused(server: FakeServer, **changes: Any) -> errors.TargetError:
    watched = TargetHarness(server.url, **changes)
    with pytest.raises(errors.TargetError) as raised:
        await watched.client.connect_probe()
    await watched.close()
    return raised.value


async def test_a_certificate_that_we_do_not_trust_or_for_another_name_is_a_tls_failure(
    authority: trustme.CA, trusting: TlsSettings, tmp_path: Path
) -> None:
    async with FakeServer(tls=tls_server(authority, "redis.internal")) as server:
        for tls in (trusting, TlsSettings(), TlsSettings(ca_file=tmp_path / "none.pem")):
            assert isinstance(await refused(server, tls=tls), errors.TlsError)
        for tls in (trusting.model_copy(update={"server_name": "redis.internal"}), TlsSettings(cert_reqs="none")):
            async with dialled(server.url, tls=tls) as (wire, _):
                wire.ping()
                assert await replies(wire, 1) == [None]
        async with dialled(server.url, tls=TlsSettings(cert_reqs="none")) as (wire, _):
            assert wire.certificate_expires is None


@pytest.mark.parametrize(
    ("says", "expected"),
    [(b"-ERR unknown command\r\n", errors.TlsError), (b"", errors.ConnectionResetByTargetError)],
    ids=["a plain port", "hangs up"],
)
async def test_a_peer_that_does_not_shake_hands(says: bytes, expected: type[errors.TargetError]) -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(says)
        writer.close()
        over.set()

    plain = await asyncio.start_server(serve, "127.0.0.1", 0)
    watched = TargetHarness(f"rediss://127.0.0.1:{plain.sockets[0].getsockname()[1]}")
    with pytest.raises(expected):
        await watched.client.connect_probe()
    await over.wait()
    await watched.close()
    plain.close()
    await plain.wait_closed()


async def test_a_full_server_that_says_so_right_after_the_handshake_is_heard(
    authority: trustme.CA, trusting: TlsSettings
) -> None:
    async with FakeServer(tls=tls_server(authority, tickets=0)) as server:
        server.greeting = MAXCLIENTS
        watched = TargetHarness(server.url, tls=trusting, password="x")
        with pytest.raises((errors.MaxClientsError, errors.ConnectionResetByTargetError)):
            await watched.client.connect_probe()
        await watched.close()


async def test_a_name_is_resolved_and_timed_and_the_addresses_are_tried_in_turn(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with localhost: nothing listens on ::1, and a server on 127.0.0.1."""
    asked = []

    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        addresses = ("127.0.0.2", server.host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with dialled(f"redis://redis.internal:{server.port}") as (wire, phases):
        wire.ping()
        assert await replies(wire, 1) == [None]
        assert list(phases) == ["dns", "tcp"]
    assert asked == ["redis.internal"]


async def test_a_name_that_does_not_resolve_is_a_dns_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    watched = TargetHarness("redis://no-such-host.invalid")
    phases: dict[str, float] = {}
    with pytest.raises(errors.NameResolutionError):
        await watched.client.connect_probe(phases.__setitem__)
    assert phases == {}, "what failed has no duration"
    await watched.close()


async def test_nothing_listens_is_refused_and_no_socket_file_is_unreachable(tmp_path: Path) -> None:
    for url, expected in (
        ("redis://127.0.0.1:1", errors.ConnectionRefusedByTargetError),
        (f"unix://{tmp_path}/none", errors.UnreachableError),
    ):
        watched = TargetHarness(url)
        with pytest.raises(expected):
            await watched.client.connect_probe()
        await watched.close()


async def test_a_phase_that_is_cut_off_at_the_deadline_counts_as_long_as_it_lasted(server: FakeServer) -> None:
    """A slow AUTH is not lost from the tail of its histogram because it was too slow."""
    server.script("AUTH", "never")
    watched = TargetHarness(
        server.url, password="x", clock=monotonic, connection=ConnectionSettings(socket_connect_timeout=TICK)
    )
    phases: dict[str, float] = {}
    with pytest.raises(errors.OperationTimeoutError):
        await watched.client.connect_probe(phases.__setitem__)
    assert list(phases) == ["tcp", "auth"]
    assert phases["auth"] >= TICK / 2
    await watched.close()


def test_a_target_has_the_phases_that_it_goes_through() -> None:
    assert phases_of(target_settings("redis://127.0.0.1:1")) == ["tcp"]
    assert phases_of(target_settings("redis://[::1]:1", password="x")) == ["tcp", "auth"]
    assert phases_of(target_settings("rediss://redis.internal:1")) == ["dns", "tcp", "tls"]
    assert phases_of(target_settings("unix:///run/redis.sock")) == ["tcp"]


async def test_tcp_options_are_set(server: FakeServer) -> None:
    async with dialled(server.url) as (wire, _):
        sock = wire._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4_000
    async with dialled(server.url, connection=ConnectionSettings(socket_keepalive=False)) as (wire, _):
        assert not wire._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_a_password_file_without_an_entry_for_the_server_is_named_as_the_cause(
    server: FakeServer, tmp_path: Path
) -> None:
    """The words "Authentication required" alone send people to look for a wrong password."""
    (tmp_path / "p.json").write_text('{"redis://elsewhere:6379": "hunter2"}')
    server.script("PING", error("NOAUTH Authentication required."))
    async with dialled(server.url, password_file=tmp_path / "p.json") as (wire, _):
        wire.ping()
        (found,) = await replies(wire, 1)
    assert isinstance(found, errors.AuthError)
    assert str(found) == f"the password file has no entry for {server.host}:{server.port}"
    assert server.count("AUTH") == 0


@contextmanager
def dark(host: str, port: int = 0) -> Iterator[tuple[str, int]]:
    """An address whose SYNs are dropped: the queue of a listener that never accepts is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), backlog=0))
        address = listener.getsockname()[:2]
        while True:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(address)
            except TimeoutError:
                break
        yield address


@linux_only
async def test_a_trial_gives_up_a_tcp_handshake_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new SYN is sent sooner than the kernel would send the old one again."""
    monkeypatch.setattr(probe_connect, "TRIAL_HANDSHAKE", 0.05)
    with dark("127.0.0.1") as (host, port):
        watched = TargetHarness(f"redis://{host}:{port}", breaker=BreakerSettings(failure_threshold=1))
        permit = watched.breaker.acquire()
        assert permit is not None
        permit.failure(errors.OperationTimeoutError("no answer in time"))
        with pytest.raises(errors.OperationTimeoutError):
            await watched.client.connect_probe()
        await watched.close()


@linux_only
async def test_a_dead_address_leaves_time_for_the_next_one(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(_host: str, _port: object, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.2", server.host)]

    monkeypatch.setattr(probe_connect, "TRIAL_HANDSHAKE", 0.05)
    with dark("127.0.0.2", server.port):
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        async with dialled(f"redis://redis.internal:{server.port}") as (wire, _):
            wire.ping()
            assert await replies(wire, 1) == [None]
