"""A session with one target: a deadline on everything, the breaker before it, nothing hidden behind it."""

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
import trustme

from redis_pulse import errors, file_descriptors
from redis_pulse.client import ConnectLimiter
from redis_pulse.config import ConnectionSettings, PollSettings, TlsSettings
from tests.fakes import GARBAGE, LOADING, MAXCLIENTS, NOAUTH, FakeServer, bulk, error
from tests.harness import TargetHarness, eventually


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def ask(watched: TargetHarness, *args: str, within: float = 5.0) -> object:
    return await watched.client.commands("info", watched.clock() + within).execute(*args)


async def test_a_command_is_answered_with_the_raw_reply_and_nothing_else_is_sent(server: FakeServer) -> None:
    """No CLIENT SETINFO, no HELLO: a restricted user would be denied them, and the server would count errors."""
    watched = TargetHarness(server.url)
    assert await ask(watched, "INFO") == server.info.data.split(b"\r\n", 1)[1].removesuffix(b"\r\n")
    assert server.received == [("INFO",)]
    assert watched.heard.connects == ["ok"]
    await watched.close()


async def test_the_connection_is_kept(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    for _ in range(3):
        await ask(watched, "INFO")
    assert server.accepted == 1
    await watched.close()
    assert watched.breaker.successes == 3


async def test_the_deadline_covers_the_whole_operation(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    server.script("INFO", "never")
    with pytest.raises(errors.OperationTimeoutError):
        await ask(watched, "INFO", within=0.05)
    assert watched.breaker.failures == 1
    server.script("INFO", bulk("x"))
    assert await ask(watched, "INFO") == b"x"  # on a new connection: the old one still owes an answer
    assert server.accepted == 2
    await watched.close()


async def test_whoever_waits_for_others_that_connect_until_the_deadline_is_skipped_and_no_fault_of_the_target(
    server: FakeServer,
) -> None:
    """The queue is ours: a target must not look dead because a thousand others connect."""
    watched = TargetHarness(server.url)
    watched.client.connect_limiter = ConnectLimiter(1, longest=60)
    commands = watched.client.commands("info", watched.clock() + 0.05)
    async with watched.client.connect_limiter.acquire():
        with pytest.raises(errors.SkippedError):
            await commands.execute("INFO")
        assert commands.is_queueing
    assert (watched.breaker.failures, watched.breaker.releases) == (0, 1)
    assert (server.accepted, watched.heard.connects) == (0, [])
    assert await ask(watched, "INFO")
    await watched.close()


async def test_a_connect_that_hangs_is_a_timeout_of_the_target_and_no_queue_of_ours(server: FakeServer) -> None:
    server.script("AUTH", "never")
    watched = TargetHarness(server.url, password="x")
    commands = watched.client.commands("info", watched.clock() + 0.05)
    with pytest.raises(errors.OperationTimeoutError):
        await commands.execute("INFO")
    assert not commands.is_queueing
    assert watched.breaker.failures == 1
    await watched.close()


async def test_an_open_breaker_touches_nothing_and_says_what_opened_it(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    for _ in range(5):
        permit = watched.breaker.acquire()
        assert permit is not None
        permit.failure(errors.ConnectionRefusedByTargetError("nothing listens"))
    with pytest.raises(errors.ConnectionRefusedByTargetError, match="nothing listens"):
        await ask(watched, "INFO")
    assert server.accepted == 0
    await watched.close()


async def test_the_commands_of_one_call_are_one_failure(server: FakeServer) -> None:
    """A poll of ten collectors once opened the breaker by itself, 6 ms after the start."""
    server.script("INFO", LOADING, LOADING, server.info)
    watched = TargetHarness(server.url)
    call = watched.client.start_call()
    for _ in range(3):
        await watched.client.execute_batch([("INFO",)], "info", watched.clock() + 5, call=call)
    call.end()
    assert (watched.breaker.failures, watched.breaker.successes, watched.breaker.outstanding) == (1, 0, 0)
    await watched.close()


async def test_a_call_that_was_answered_is_one_success_whatever_the_answers_were(server: FakeServer) -> None:
    server.script("INFO", error("NOPERM no permissions to run the 'info' command"))
    watched = TargetHarness(server.url)
    call = watched.client.start_call()
    for command in ("INFO", "PING"):
        await watched.client.execute_batch([(command,)], "x", watched.clock() + 5, call=call)
    call.end()
    assert (watched.breaker.failures, watched.breaker.successes) == (0, 1)
    await watched.close()


async def test_a_call_that_asked_nothing_has_no_verdict(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    watched.client.start_call().end()
    assert (watched.breaker.releases, watched.breaker.outstanding) == (1, 0)
    await watched.close()


async def test_a_breaker_that_opens_ends_a_call_under_way(server: FakeServer) -> None:
    """The pings found that the server hangs: what is left of the poll must not wait for it, one deadline each."""
    watched = TargetHarness(server.url)
    call = watched.client.start_call()
    await watched.client.execute_batch([("INFO",)], "info", watched.clock() + 5, call=call)
    for _ in range(5):
        permit = watched.breaker.acquire_probe(watched.clock())
        assert permit is not None
        permit.failure(errors.OperationTimeoutError("no answer in time"))
    with pytest.raises(errors.OperationTimeoutError, match="no answer in time"):
        await watched.client.execute_batch([("INFO",)], "info", watched.clock() + 5, call=call)
    assert server.count("INFO") == 1
    call.end()
    await watched.close()


async def test_a_late_answer_lets_a_call_go_on_though_the_breaker_opened_meanwhile(server: FakeServer) -> None:
    """The server stalled under INFO and went on: what is left of the poll was refused under the old cause."""
    watched = TargetHarness(server.url)
    call = watched.client.start_call()
    server.hold()
    asking = asyncio.create_task(watched.client.execute_batch([("INFO",)], "info", watched.clock() + 5, call=call))
    await server.arrived("INFO")
    for _ in range(5):
        permit = watched.breaker.acquire_probe(watched.clock())
        assert permit is not None
        permit.failure(errors.OperationTimeoutError("no answer in time"))
    server.release()
    await asking
    await watched.client.execute_batch([("INFO",)], "info", watched.clock() + 5, call=call)
    assert server.count("INFO") == 2
    call.end()
    await watched.close()


async def test_a_target_that_answered_since_is_not_held_back(server: FakeServer) -> None:
    """The breaker closed by a ping: an older attempt to connect that failed says nothing any more."""
    watched = TargetHarness(server.url, breaker={"failure_threshold": 1})
    await server.stop()
    watched.clock.advance(1)
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await ask(watched, "INFO")
    watched.client._not_before = watched.clock() + 60
    await server.start()
    watched.clock.advance(1)
    permit = watched.breaker.acquire_probe(watched.clock())
    assert permit is not None
    permit.success()
    await ask(watched, "INFO")
    await watched.close()


async def test_a_read_that_met_a_dead_connection_is_sent_once_more_and_counted(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    await ask(watched, "INFO")
    await server.drop()
    await ask(watched, "INFO")
    assert watched.heard.retries == ["info"]
    assert server.count("INFO") == 2
    await watched.close()


async def test_a_write_is_never_sent_twice(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    server.script("SET", "reset")
    with pytest.raises(errors.ConnectionResetByTargetError):
        await ask(watched, "SET", "a", "b")
    assert watched.heard.retries == []
    assert server.count("SET") == 1
    await watched.close()


async def test_a_read_is_tried_no_more_often_than_settings_say(server: FakeServer) -> None:
    watched = TargetHarness(server.url, poll=PollSettings(retries=2))
    server.script("INFO", "reset")
    with pytest.raises(errors.ConnectionResetByTargetError):
        await ask(watched, "INFO")
    assert server.count("INFO") == 3
    await watched.close()


async def test_a_read_that_timed_out_is_tried_again_only_when_settings_say_so(server: FakeServer) -> None:
    quick = ConnectionSettings(socket_timeout=0.02, retry_on_timeout=True)
    watched = TargetHarness(server.url, connection=quick)
    server.script("INFO", "never", bulk("x"))
    assert await ask(watched, "INFO") == b"x"
    assert watched.heard.retries == ["info"]
    await watched.close()


async def test_after_a_failed_connect_the_next_one_waits_for_its_backoff() -> None:
    watched = TargetHarness("redis://127.0.0.1:1", breaker={"failure_threshold": 50})
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await ask(watched, "INFO")
    watched.client._not_before = watched.clock() + 1
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await ask(watched, "INFO")
    assert watched.heard.connects == ["refused"]
    watched.clock.advance(1)
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await ask(watched, "INFO")
    assert watched.heard.connects == ["refused", "refused"]
    await watched.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (LOADING, errors.LoadingError),
        (NOAUTH, errors.AuthError),
        (GARBAGE, errors.ProtocolError),
        (error("NOPERM this user has no permissions"), errors.PermissionDeniedError),
        (error("BUSY Redis is busy running a script."), errors.BusyError),
    ],
)
async def test_an_error_reply_is_one_of_our_errors(
    server: FakeServer, answer: object, expected: type[errors.TargetError]
) -> None:
    server.script("INFO", answer)  # type: ignore[arg-type]
    watched = TargetHarness(server.url)
    with pytest.raises(expected):
        await ask(watched, "INFO")
    await watched.close()


async def test_a_server_that_is_full_says_so(server: FakeServer) -> None:
    server.greeting = MAXCLIENTS
    watched = TargetHarness(server.url, poll=PollSettings(retries=0))
    with pytest.raises((errors.MaxClientsError, errors.ConnectionResetByTargetError)):
        await ask(watched, "INFO")
    await watched.close()


async def test_a_cancelled_call_gives_its_permit_back(server: FakeServer) -> None:
    server.script("INFO", "never")
    watched = TargetHarness(server.url)
    call = asyncio.create_task(ask(watched, "INFO"))
    await server.arrived("INFO")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (watched.breaker.releases, watched.breaker.outstanding) == (1, 0)
    await watched.close()


async def test_credentials_and_database_are_sent_once_per_connection(server: FakeServer) -> None:
    watched = TargetHarness(server.url, username="me", password="hunter2", db=3)
    await ask(watched, "INFO")
    await ask(watched, "INFO")
    assert server.received == [("AUTH", "me", "hunter2"), ("SELECT", "3"), ("INFO",), ("INFO",)]
    await watched.close()


async def test_a_password_file_is_read_at_every_connection(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    watched = TargetHarness(server.url, password_file=file)
    await ask(watched, "INFO")
    file.write_text("second\n")
    await server.drop()
    await ask(watched, "INFO")
    assert [command for command in server.received if command[0] == "AUTH"] == [("AUTH", "first"), ("AUTH", "second")]
    file.unlink()
    await server.drop()
    with pytest.raises(errors.AuthError, match="cannot read the password file"):
        await ask(watched, "INFO")
    await watched.close()


async def test_a_unix_socket_is_as_good_as_tcp(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server:
        watched = TargetHarness(server.url)
        assert await ask(watched, "PING") == b"PONG"
        await watched.close()


def tls_server(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_is_checked_against_the_authority_and_the_name_that_settings_say(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with FakeServer(tls=tls_server(authority, "redis.internal")) as server:
        trusting = TargetHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem", server_name="redis.internal"))
        assert await ask(trusting, "PING") == b"PONG"
        wrong_name = TargetHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem"))
        untrusting = TargetHarness(server.url, tls=TlsSettings(server_name="redis.internal"))
        for watched in (wrong_name, untrusting):
            with pytest.raises(errors.TlsError):
                await ask(watched, "PING")
        careless = TargetHarness(server.url, tls=TlsSettings(cert_reqs="none"))
        assert await ask(careless, "PING") == b"PONG"
        missing = TargetHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "none.pem"))
        with pytest.raises(errors.TlsError):
            await ask(missing, "PING")
        for watched in (trusting, wrong_name, untrusting, careless, missing):
            await watched.close()


async def test_a_renewed_certificate_authority_is_noticed(tmp_path: Path) -> None:
    from redis_pulse.client.pool import TlsContext

    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    context = TlsContext(TlsSettings(ca_file=file))
    first = context()
    assert context() is first
    import os

    os.utime(file, (1, 1))
    assert context() is not first


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = authority.issue_cert("client")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    context = tls_server(authority, "localhost")
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with FakeServer(tls=context) as server:
        tls = TlsSettings(ca_file=tmp_path / "ca.pem", cert_file=tmp_path / "client.pem", server_name="localhost")
        watched = TargetHarness(server.url, tls=tls)
        assert await ask(watched, "PING") == b"PONG"
        await watched.close()


async def test_a_pipeline_keeps_every_reply_in_its_place(server: FakeServer) -> None:
    server.script("MEMORY", error("NOPERM no permissions to run 'memory|usage'"))
    server.script("TYPE", bulk("string"))
    watched = TargetHarness(server.url)
    commands = watched.client.commands("keys", watched.clock() + 5)
    replies = await commands.pipeline([("TYPE", "a"), ("MEMORY", "USAGE", "a"), ("PING",)])
    assert replies[0] == b"string"
    assert isinstance(replies[1], errors.PermissionDeniedError)
    assert replies[2] == b"PONG"
    assert await commands.pipeline([]) == []
    assert watched.breaker.successes == 1
    await watched.close()


async def test_a_pipeline_answered_by_a_server_that_is_loading_counts_as_a_failure(server: FakeServer) -> None:
    server.script("TYPE", LOADING)
    watched = TargetHarness(server.url)
    replies = await watched.client.commands("keys", watched.clock() + 5).pipeline([("TYPE", "a"), ("PING",)])
    assert isinstance(replies[0], errors.LoadingError)
    assert (watched.breaker.failures, server.accepted) == (1, 1)
    await watched.close()


async def test_another_database_has_connections_of_its_own(server: FakeServer) -> None:
    """A SELECT on a shared connection would move the commands of others."""
    watched = TargetHarness(server.url)
    commands = watched.client.commands("keys", watched.clock() + 5)
    for db in (None, 3, 3, None):
        await commands.execute("DBSIZE", db=db)
    assert server.received.count(("SELECT", "3")) == 1
    assert server.accepted == 2
    await watched.close()


async def test_closing_never_waits_for_a_tls_server_that_does_not_say_goodbye(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stopped process: redis-py would wait for the whole connect timeout, and raise then."""
    monkeypatch.setattr("redis_pulse.client.client.CLOSE_WITHIN", 0.05)
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with authority.cert_pem.tempfile() as ca:
        async with FakeServer(tls=context) as server:
            relay = await Silent.before(server.port)
            watched = TargetHarness(f"rediss://127.0.0.1:{relay.port}", tls=TlsSettings(ca_file=Path(ca)))
            await watched.client.commands("info", watched.clock() + 5).execute("INFO")
            relay.is_silent = True
            async with asyncio.timeout(1):
                await watched.client.aclose()
            await eventually(lambda: relay.is_cut)  # and the socket is not kept for the half minute of asyncio
            await watched.close()
            await relay.stop()


class Silent:
    """Passes on bytes between a client and a server until it falls silent, with the connection open."""

    def __init__(self, port: int) -> None:
        self.is_silent = self.is_cut = False
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    async def before(cls, port: int) -> Self:
        relay = cls(port)
        relay._server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
        return relay

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks.add(asyncio.ensure_future(self._pass(reader, back, ends=True)))
        self._tasks.add(asyncio.ensure_future(self._pass(there, writer)))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, ends: bool = False) -> None:
        try:
            while data := await source.read(65536):
                if not self.is_silent:
                    sink.write(data)
        except ConnectionError:
            pass
        finally:
            self.is_cut = self.is_cut or ends
            sink.close()


async def test_a_password_file_without_an_entry_for_the_server_is_named_as_the_cause(
    server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "p.json").write_text('{"redis://elsewhere:6379": "hunter2"}')
    server.script("INFO", NOAUTH)
    watched = TargetHarness(server.url, password_file=tmp_path / "p.json")
    with pytest.raises(errors.AuthError) as refused:
        await ask(watched, "INFO")
    assert str(refused.value) == f"the password file has no entry for {server.host}:{server.port}"
    (tmp_path / "p.json").write_text('[{"hunter2": 1}]')
    with pytest.raises(errors.AuthError, match="holds JSON of another form") as refused:
        await ask(watched, "INFO")
    assert "hunter2" not in str(refused.value)
    await watched.close()


async def test_without_a_password_file_the_words_of_the_server_stay(server: FakeServer) -> None:
    server.script("INFO", NOAUTH)
    watched = TargetHarness(server.url)
    with pytest.raises(errors.AuthError, match="Authentication required"):
        await ask(watched, "INFO")
    await watched.close()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_want_of_descriptors_or_memory_is_our_fault_and_no_failure_of_the_target(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("redis_pulse.client.pool.check_room", refuse)
    monkeypatch.setattr("redis_pulse.client.probe_connect.refuse_reserved", refuse)
    before = file_descriptors.shortages
    watched = TargetHarness(server.url)
    with pytest.raises(errors.SkippedError):
        await ask(watched, "INFO")
    with pytest.raises(errors.SkippedError):
        await watched.client.connect_probe()
    assert (watched.breaker.failures, watched.breaker.releases) == (0, 1)
    assert watched.heard.connects == ["skipped", "skipped"]
    assert watched.client.reconnect_delay_error() is None
    assert file_descriptors.shortages > before
    await watched.close()


async def test_a_certificate_file_that_is_no_file_is_told_at_once(server: FakeServer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    watched = TargetHarness(server.url.replace("redis://", "rediss://"), tls=TlsSettings(ca_file=tmp_path / "ca.pem"))
    with pytest.raises(errors.TargetError, match="not a regular file"):
        await watched.client.connect_probe()
    with pytest.raises(errors.TargetError, match="not a regular file"):
        await ask(watched, "INFO")
    await watched.close()
