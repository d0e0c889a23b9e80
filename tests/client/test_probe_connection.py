"""The connection for pings: encoding, parsing, replies, and the times of both."""

import asyncio
import select
import socket
import sys
from itertools import pairwise
from pathlib import Path
from time import monotonic, time_ns

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse import errors
from redis_pulse.client import ProbeConnection
from redis_pulse.client.probe_connection import (
    MAX_LINE_BYTES,
    RespLineReader,
    encode_command,
    parse_error,
)
from redis_pulse.config import TlsSettings
from redis_pulse.kernel_timestamps import SendTimestamps
from tests.client.helpers import TICK, probe_connection, read_errors, tls_server, until_unread, wait_for_replies
from tests.fakes import GARBAGE, LOADING, PONG, FakeServer, Reply, error

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the kernel of Linux adds timestamps")


def test_command_is_encoded_as_array_of_bulk_strings() -> None:
    assert encode_command("PING") == b"*1\r\n$4\r\nPING\r\n"
    assert encode_command("AUTH", "pä\r\nss") == b"*2\r\n$4\r\nAUTH\r\n$7\r\np\xc3\xa4\r\nss\r\n"


@given(
    st.lists(st.sampled_from([b"+PONG", b"-LOADING x", b"-ERR a\rb", b"", b"$000123", b"$", b"-ERR $6"]), max_size=8),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_lines_do_not_depend_on_pieces_of_data(replies: list[bytes], cuts: list[int]) -> None:
    data = b"".join((b"$%d\r\n" % (len(one) - 1) + one[1:] if one[:1] == b"$" else one) + b"\r\n" for one in replies)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    lines = RespLineReader()
    found = [line for start, end in pairwise(edges) for line in lines.feed(data[start:end])]
    assert found == replies


def test_line_without_end_is_rejected() -> None:
    lines = RespLineReader()
    lines.feed(b"x" * MAX_LINE_BYTES)
    with pytest.raises(errors.ProtocolError):
        lines.feed(b"x")


@pytest.mark.parametrize("data", [b"$5\r\n000123\r\n", b"$-1\r\n\r\n", b"$x\r\nx\r\n", b"+PONG\r\n$2\r\n1\r\n"])
def test_bulk_string_of_wrong_length_is_rejected(data: bytes) -> None:
    with pytest.raises(errors.ProtocolError, match="announced length"):
        RespLineReader().feed(data)


def test_too_long_bulk_string_is_rejected_before_it_arrives() -> None:
    with pytest.raises(errors.ProtocolError, match="more than"):
        RespLineReader().feed(b"$1999999999\r\n")


def test_error_line_is_distinguished_from_other_lines() -> None:
    assert parse_error(b"+OK", b"+OK") is None
    assert parse_error(b"-ERR no", b"+OK") == "ERR no"
    for line in (b"", b":1", b"$5", b"+PONG", b"HTTP/1.1 400 Bad Request"):
        with pytest.raises(errors.ProtocolError):
            parse_error(line, b"+OK")


async def test_replies_arrive_in_order_of_pings(server: FakeServer) -> None:
    server.script("PING", PONG, LOADING, error("BUSY Redis is busy running a script."), PONG)
    async with probe_connection(server.url) as (connection, _):
        for _ in range(4):
            connection.ping()
        assert [one and one.reason for one in await read_errors(connection, 4)] == [None, "loading", "busy", None]
    assert server.received == [("PING",)] * 4


async def test_numbered_ping_returns_its_number(server: FakeServer) -> None:
    server.script("PING", PONG, LOADING, PONG)
    async with probe_connection(server.url) as (connection, _):
        assert (connection.ping().number, connection.parse_sequence(b"+PONG")) == (None, None)
        await read_errors(connection, 1)
        connection.is_numbered = True
        sent = [connection.ping().number for _ in range(2)]
        lines: list[bytes] = []
        while len(lines) < 2:
            lines += (await wait_for_replies(connection)).lines
        assert [connection.parse_sequence(line) for line in lines] == [None, sent[1]]
        with pytest.raises(errors.ProtocolError):
            connection.parse_sequence(b"$nothing")
    assert server.received == [("PING",), *(("PING", f"{number:06}") for number in sent)]


async def test_reply_in_pieces_is_one_reply(server: FakeServer) -> None:
    server.script("PING", Reply(b"+PONG\r\n", pieces=7))
    async with probe_connection(server.url) as (connection, _):
        connection.ping()
        assert (await wait_for_replies(connection)).lines == [b"+PONG"]


async def test_reply_other_than_pong_or_error_is_protocol_error(server: FakeServer) -> None:
    server.script("PING", GARBAGE)
    async with probe_connection(server.url) as (connection, _):
        connection.ping()
        with pytest.raises(errors.ProtocolError):
            await read_errors(connection, 1)


def _send_until_failure(connection: ProbeConnection) -> None:
    for _ in range(1_000_000):  # the server runs in the same event loop, so it reads nothing meanwhile
        connection.ping()


@pytest.mark.parametrize("act", ["close", "reset"])
async def test_lost_connection_is_reset(server: FakeServer, act: str) -> None:
    server.script("PING", act)  # type: ignore[arg-type]
    async with probe_connection(server.url) as (connection, _):
        connection.ping()
        with pytest.raises(errors.ConnectionResetByTargetError):
            await read_errors(connection, 1)


async def test_ping_fails_when_server_stops_reading(server: FakeServer) -> None:
    """The receive window is closed and the send buffer is full. A ping that is sent in part counts as not sent."""
    async with probe_connection(server.url) as (connection, _):
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with pytest.raises(errors.OperationTimeoutError, match="stopped reading"):
            _send_until_failure(connection)


async def test_closed_connection_cannot_be_used(server: FakeServer) -> None:
    async with probe_connection(server.url) as (connection, _):
        connection.listen(lambda: None)
        connection.close()
        connection.close()
        for use in (connection.ping, connection.receive):
            with pytest.raises(errors.ConnectionResetByTargetError):
                use()


async def test_listener_is_called_when_data_arrives(server: FakeServer) -> None:
    called = asyncio.Event()
    async with probe_connection(server.url) as (connection, _):
        connection.listen(called.set)
        connection.ping()
        await asyncio.wait_for(called.wait(), 60)
        assert await read_errors(connection, 1) == [None]


async def test_times_are_taken_before_send_and_after_receive(server: FakeServer) -> None:
    async with probe_connection(server.url, real=True) as (connection, _):
        before = monotonic(), time_ns()
        sent = connection.ping()
        after = monotonic(), time_ns()
        assert before[0] <= sent.at <= sent.at + sent.took <= after[0] + 1e-6  # two readings of clocks lie between
        assert before[1] <= sent.at_ns <= after[1]
        received = await wait_for_replies(connection)
        assert after[0] <= received.at <= monotonic()
        assert after[1] <= received.at_ns <= time_ns()


class LateTimestamps(SendTimestamps):
    """Say that everything is sent ``delay`` seconds after its system call."""

    def __init__(self, sock: socket.socket, delay: float) -> None:
        super().__init__(sock)
        self.delay_ns = round(delay * 1e9)

    def read(self, began: int) -> int:
        return began + self.delay_ns


async def until_timestamps(connection: ProbeConnection) -> None:
    """Send PINGs until a reply has a timestamp. The kernel begins to take them a moment after the first request."""
    for _ in range(200):
        connection.ping()
        if (await wait_for_replies(connection)).kernel_timestamp is not None:
            return
        await asyncio.sleep(0.01)


@linux_only
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
async def test_kernel_adds_timestamp_to_tcp_data(family: str) -> None:
    server = FakeServer()
    server.host = "127.0.0.1" if family == "ipv4" else "::1"
    try:
        await server.start()
    except OSError as reason:
        pytest.skip(f"no {family} here: {reason}")
    try:
        address = f"[{server.host}]" if family == "ipv6" else server.host
        async with probe_connection(f"redis://{address}:{server.port}", real=True) as (connection, _):
            await until_timestamps(connection)
            sent = connection.ping()
            received = await wait_for_replies(connection)
            assert received.kernel_timestamp is not None
            assert sent.at_ns <= received.kernel_timestamp <= received.at_ns
    finally:
        await server.stop()


@linux_only
async def test_kernel_times_the_send_within_its_system_call(server: FakeServer) -> None:
    """Every ping has the timestamp of its own send, and nothing is left that would wake the event loop."""
    async with probe_connection(server.url, real=True) as (connection, _):
        if connection._send_timestamps is None:
            pytest.skip("this kernel gives no timestamps of sends")
        connection.is_numbered = True
        for _ in range(50):
            before = monotonic(), time_ns()
            sent = connection.ping()
            after = monotonic(), time_ns()
            assert (sent.is_stamped, sent.took) == (True, 0.0)
            assert before[1] <= sent.at_ns <= after[1]
            assert before[0] <= sent.at <= after[0] + 1e-6
            assert not select.select([connection._sock], [], [], 0)[0]
            received = await wait_for_replies(connection)
            assert received.kernel_timestamp is None or sent.at_ns <= received.kernel_timestamp


@linux_only
async def test_timestamp_that_nobody_read_wakes_the_listener_once(server: FakeServer) -> None:
    """An entry of the error queue is an event. If nothing removed it, the event loop would never rest."""
    held = asyncio.Event()
    server.script("PING", Reply(b"+PONG\r\n", until=held))
    async with probe_connection(server.url, real=True) as (connection, _):
        calls = []
        connection.listen(lambda: calls.append(connection.receive()))
        connection._sock.send(encode_command("PING"))
        await server.arrived("PING", 1)
        await asyncio.sleep(TICK)
        assert set(calls) <= {None}
        assert len(calls) <= 2, "one for the timestamp, one for the reply to the introduction"
        assert not select.select([connection._sock], [], [], 0)[0]
        held.set()


async def test_ping_that_left_after_its_system_call_is_timed_before_it(server: FakeServer) -> None:
    """A packet that the kernel held back has waited for the network. That wait belongs to the round trip."""
    async with probe_connection(server.url) as (connection, _):
        for delay, expected in ((0, 0), (1, None)):
            connection._send_timestamps = LateTimestamps(connection._sock, delay)
            sent = connection.ping()
            assert (sent.at, sent.at_ns) == (connection._clock(), connection._wall_clock())
            assert sent.is_stamped == (expected == 0)


@linux_only
async def test_timestamp_is_time_of_arrival_not_of_reading(server: FakeServer) -> None:
    async with probe_connection(server.url, real=True) as (connection, _):
        await until_timestamps(connection)
        before = server.count("PING")
        sent = connection.ping()
        await server.arrived("PING", before + 1)
        await until_unread(connection)
        arrived = time_ns()
        await asyncio.sleep(TICK)  # the reply arrives long before it is read
        received = await wait_for_replies(connection)
        assert received.kernel_timestamp is not None
        assert sent.at_ns <= received.kernel_timestamp <= arrived < received.at_ns - TICK / 2 * 1e9


async def test_unix_socket_works_without_timestamp(tmp_path: Path) -> None:
    async with (
        FakeServer(unix_path=tmp_path / "s") as server,
        probe_connection(server.url, real=True) as (connection, phases),
    ):
        sent = connection.ping()
        received = await wait_for_replies(connection)
        assert (received.lines, received.kernel_timestamp) == ([b"+PONG"], None)
        assert not sent.is_stamped
        assert list(phases) == ["tcp"]


@pytest.mark.parametrize("tickets", [0, 2])
async def test_tls_connection_has_timestamps_despite_tickets(
    authority: trustme.CA, trusting: TlsSettings, tickets: int
) -> None:
    """A session ticket arrives before the first reply. Its timestamp belongs to no reply."""
    server = FakeServer(tls=tls_server(authority, tickets=tickets))
    async with server, probe_connection(server.url, real=True, tls=trusting, password="x") as (connection, phases):
        await asyncio.sleep(TICK)
        for _ in range(3):
            sent = connection.ping()
            received = await wait_for_replies(connection)
            assert received.lines == [b"+PONG"]
            assert sent.is_stamped == (connection._send_timestamps is not None)
            if sys.platform.startswith("linux"):
                assert received.kernel_timestamp is not None
                assert sent.at_ns <= received.kernel_timestamp <= received.at_ns
        assert list(phases) == ["tcp", "tls", "auth"]
        assert connection.certificate_expires is not None
        assert connection.certificate_expires > time_ns() / 1e9


async def test_tls_replies_arrive_in_pieces_and_together(authority: trustme.CA, trusting: TlsSettings) -> None:
    async with FakeServer(tls=tls_server(authority)) as server:
        server.script("PING", Reply(b"+PONG\r\n", pieces=7), LOADING, PONG)
        async with probe_connection(server.url, tls=trusting) as (connection, _):
            for _ in range(3):
                connection.ping()
            assert [one and one.reason for one in await read_errors(connection, 3)] == [None, "loading", None]
            dropping = asyncio.create_task(server.drop("close"))
            with pytest.raises(errors.ConnectionResetByTargetError):
                await read_errors(connection, 1)
            connection.close()  # sends the closing record, for which the server waits
            await dropping


async def test_noauth_names_password_file_without_entry(server: FakeServer, tmp_path: Path) -> None:
    """The text "Authentication required" alone would suggest a wrong password."""
    (tmp_path / "p.json").write_text('{"redis://elsewhere:6379": "hunter2"}')
    server.script("PING", error("NOAUTH Authentication required."))
    async with probe_connection(server.url, password_file=tmp_path / "p.json") as (connection, _):
        connection.ping()
        (reply_error,) = await read_errors(connection, 1)
    assert isinstance(reply_error, errors.AuthError)
    assert str(reply_error) == f"the password file has no entry for {server.host}:{server.port}"
    assert server.count("AUTH") == 0
