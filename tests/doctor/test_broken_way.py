"""Doctor names what is wrong on the way to a server: name, connection, TLS, protocol, login, permissions."""

import asyncio
import contextlib
import datetime as dt
import http.server
import shlex
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.doctor.command import doctor
from tests.doctor.peers import speaking
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.slow

StartServer = Callable[..., RealServer]
PASSWORD = "pa55-of-the-test"


@pytest.fixture
def server(start_server: StartServer) -> RealServer:
    return start_server("redis")


async def test_wrong_password_is_named(start_server: StartServer) -> None:
    locked = start_server("redis", requirepass=PASSWORD)
    run = await doctor("--json", locked.url, REDIS_PASSWORD="wrong-0000")
    assert (run.codes(), run.exit_code) == (["RP302"], 2)
    assert "password" in run.finding("RP302")["why"]
    assert "wrong-0000" not in run.stdout


async def test_missing_password_is_named_and_its_cure_works(start_server: StartServer, tmp_path: Path) -> None:
    """The command of the finding, with a file, leads to a healthy server."""
    locked = start_server("redis", requirepass=PASSWORD)
    run = await doctor("--json", locked.url)
    assert (run.codes(), run.exit_code) == (["RP301"], 2)
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    cure = shlex.split(run.finding("RP301")["command"].replace("FILE", str(file)))
    assert cure[:2] == ["redis-pulse", "doctor"]
    assert (await doctor(*cure[2:])).exit_code == 0


async def test_unknown_user_is_named(server: RealServer) -> None:
    run = await doctor("--json", server.url, "--username", "ghost", REDIS_PASSWORD=PASSWORD)
    assert (run.codes(), run.exit_code) == (["RP303"], 2)
    assert "ghost" in run.finding("RP303")["why"]


async def test_unexpected_password_is_named(start_server: StartServer) -> None:
    run = await doctor("--json", start_server("redis").url, REDIS_PASSWORD=PASSWORD)
    assert (run.codes(), run.exit_code) == (["RP304"], 2)


async def test_password_in_the_url_works_and_is_masked(start_server: StartServer) -> None:
    locked = start_server("redis", requirepass=PASSWORD)
    for words in (["--json"], []):
        run = await doctor(*words, f"redis://:{PASSWORD}@{locked.address}")
        assert run.exit_code == 1
        assert PASSWORD not in run.stdout + run.stderr
        assert run.stdout.count("RP104") == (1 if not words else 2)  # JSON has the code and the link


@pytest.mark.parametrize(
    ("denied", "code", "exit_code"),
    [
        ("info", "RP311", 2),
        ("ping", "RP311", 2),
        ("client|list", "RP312", 1),
        ("slowlog", "RP312", 1),
        ("config|get", "RP312", 1),
        ("latency", "RP312", 1),
    ],
)
async def test_poor_acl_is_named_and_its_line_is_the_cure(
    server: RealServer, denied: str, code: str, exit_code: int
) -> None:
    """The words of the finding are sent to the server unchanged, and the next run finds nothing."""
    server.run("ACL", "SETUSER", "poor", "on", f">{PASSWORD}", "+@all", f"-{denied}")
    words = ("--json", server.url, "--username", "poor")
    run = await doctor(*words, REDIS_PASSWORD=PASSWORD)
    assert (set(run.codes()), run.exit_code) == ({code}, exit_code)
    for finding in [one for one in run.findings if one["code"] == code]:
        cure = shlex.split(finding["command"])
        server.run(*cure[cure.index("ACL") :])
    healthy = await doctor(*words, REDIS_PASSWORD=PASSWORD)
    assert (healthy.codes(), healthy.exit_code) == ([], 0)


class Authority:
    """A throw-away authority, and servers with its certificates."""

    def __init__(self, folder: Path, start_server: StartServer) -> None:
        self._folder, self._start = folder, start_server
        self.ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)

    def issue(self, *names: str, **options: Any) -> tuple[Path, Path]:
        issued = self.ca.issue_cert(*names, **options)
        cert, key = self._folder / f"{names[0]}.crt", self._folder / f"{names[0]}.key"
        issued.cert_chain_pems[0].write_to_path(cert)
        issued.private_key_pem.write_to_path(key)
        return cert, key

    def server(self, *names: str, config: dict[str, str] | None = None, **options: Any) -> RealServer:
        cert, key = self.issue(*names, **options)
        return self._start("redis", tls=(cert, key, self.ca_file), **(config or {}))


@pytest.fixture
def authority(tmp_path: Path, start_server: StartServer) -> Authority:
    return Authority(tmp_path, start_server)


async def test_tls_to_a_plain_port_is_named(server: RealServer) -> None:
    run = await doctor("--json", f"rediss://{server.address}")
    assert (run.codes(), run.exit_code) == (["RP211"], 2)
    assert f"redis://{server.address}" in run.finding("RP211")["do"]


async def test_plain_to_a_tls_port_is_named(authority: Authority) -> None:
    encrypted = authority.server("127.0.0.1")
    run = await doctor("--json", f"redis://{encrypted.address}")
    assert (run.codes(), run.exit_code) == (["RP212"], 2)
    assert "TLS" in run.finding("RP212")["why"]
    assert f"rediss://{encrypted.address}" in run.finding("RP212")["do"]


async def test_expired_certificate_is_named_with_its_end(authority: Authority) -> None:
    ended = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
    expired = authority.server("127.0.0.1", not_after=ended, not_before=ended - dt.timedelta(days=9))
    run = await doctor("--json", expired.url, "--tls-ca-file", str(authority.ca_file))
    assert (run.codes(), run.exit_code) == (["RP213"], 2)
    assert "2024-02-29" in run.finding("RP213")["why"]


async def test_certificate_that_begins_later_is_named_with_its_begin(authority: Authority) -> None:
    begins = dt.datetime(2999, 3, 4, tzinfo=dt.UTC)
    early = authority.server("127.0.0.1", not_before=begins, not_after=begins + dt.timedelta(days=9))
    run = await doctor("--json", early.url, "--tls-ca-file", str(authority.ca_file))
    assert (run.codes(), run.exit_code) == (["RP228"], 2)
    assert "begins on 2999-03-04" in run.finding("RP228")["why"]


async def test_files_of_tls_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    """They are ours. The server has not answered anything yet."""
    encrypted = authority.server("127.0.0.1")
    cert, key = authority.issue("client.example")
    _, other_key = authority.issue("other.example")
    ca = ("--tls-ca-file", str(authority.ca_file))
    for words, problem in (
        (("--tls-ca-file", str(tmp_path / "gone.pem")), "tls.ca_file: No such file or directory"),
        (("--tls-ca-file", str(tmp_path)), "tls.ca_file: Is a directory"),
        ((*ca, "--tls-cert-file", str(cert), "--tls-key-file", str(tmp_path / "x")), "tls.key_file: No such file"),
    ):
        run = await doctor("--json", encrypted.url, *words)
        assert (run.codes(), run.exit_code) == (["RP103"], 2)
        assert problem in run.finding("RP103")["why"]
        assert run.finding("RP103")["command"] == f"ls -l {words[-1]}"
    mismatch = await doctor(
        "--json", encrypted.url, *ca, "--tls-cert-file", str(cert), "--tls-key-file", str(other_key)
    )
    assert mismatch.codes() == ["RP219"]
    assert "tls.key_file is not the key of tls.cert_file" in mismatch.finding("RP219")["why"]
    alone = await doctor(encrypted.url, "--tls-key-file", str(key))
    assert (alone.exit_code, "needs --tls-cert-file" in alone.stderr) == (3, True)


async def test_web_server_with_tls_is_no_missing_client_certificate(authority: Authority) -> None:
    """It closes the connection after our line, as a server does that wants a client certificate."""
    cert, key = authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.read(100)
        if line.startswith(b"GET "):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as web:
        port = web.sockets[0].getsockname()[1]
        run = await doctor("--json", f"rediss://127.0.0.1:{port}", "--tls-ca-file", str(authority.ca_file))
    assert (run.codes(), run.exit_code) == (["RP221"], 2)
    assert run.finding("RP221")["command"] == f"curl -skI https://127.0.0.1:{port}/"


async def test_certificate_for_another_name_is_named(authority: Authority) -> None:
    run = await doctor(
        "--json", authority.server("cart.example", "10.9.8.7").url, "--tls-ca-file", str(authority.ca_file)
    )
    assert (run.codes(), run.exit_code) == (["RP214"], 2)
    assert "cart.example, 10.9.8.7" in run.finding("RP214")["why"]


async def test_missing_client_certificate_is_named_and_its_cure_works(authority: Authority) -> None:
    strict = authority.server("127.0.0.1", config={"tls_auth_clients": "yes"})
    cert, key = authority.issue("client.example")
    words = ("--json", strict.url, "--tls-ca-file", str(authority.ca_file))
    run = await doctor(*words)
    assert (run.codes(), run.exit_code) == (["RP216"], 2)
    healthy = await doctor(*words, "--tls-cert-file", str(cert), "--tls-key-file", str(key))
    assert (healthy.codes(), healthy.exit_code) == ([], 0)


async def test_unknown_authority_is_named(authority: Authority) -> None:
    run = await doctor("--json", authority.server("127.0.0.1").url)
    assert (run.codes(), run.exit_code) == (["RP215"], 2)


async def test_certificate_that_ends_soon_is_a_warning(authority: Authority) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=5, hours=1)
    run = await doctor(
        "--json", authority.server("127.0.0.1", not_after=soon).url, "--tls-ca-file", str(authority.ca_file)
    )
    assert (run.codes(), run.exit_code) == (["RP217"], 1)
    assert "in 5 days" in run.finding("RP217")["why"]


async def test_unknown_name_is_named() -> None:
    run = await doctor("--json", "redis://no-such-host.invalid:6379")
    assert (run.codes(), run.exit_code) == (["RP201"], 2)
    assert "name" in run.finding("RP201")["why"]


async def test_refused_connection_is_named() -> None:
    run = await doctor("--json", f"redis://127.0.0.1:{free_port()}")
    assert (run.codes(), run.exit_code) == (["RP202"], 2)
    assert "refused" in run.finding("RP202")["why"]


@contextlib.contextmanager
def filtered_port() -> Iterator[int]:
    """Yield a port whose kernel drops each SYN: the queue of connections is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
        yield port


async def test_filtered_port_is_named() -> None:
    with filtered_port() as port:
        run = await doctor("--json", f"redis://127.0.0.1:{port}")
    assert (run.codes(), run.exit_code) == (["RP203"], 2)


async def test_web_server_is_named() -> None:
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        run = await doctor("--json", f"redis://127.0.0.1:{web.server_port}")
    finally:
        web.shutdown()
        web.server_close()
    assert (run.codes(), run.exit_code) == (["RP221"], 2)
    assert "HTTP" in run.finding("RP221")["why"]


async def test_ssh_server_is_named() -> None:
    async with speaking(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") as port:
        run = await doctor("--json", f"redis://127.0.0.1:{port}")
    assert (run.codes(), run.exit_code) == (["RP222"], 2)


async def test_server_of_another_protocol_is_named_and_its_escapes_are_inert() -> None:
    async with speaking(b"220 \x1b[31mmail\x07 ready\r\n") as port:
        run = await doctor(f"redis://127.0.0.1:{port}")
    assert run.exit_code == 2
    assert "RP224" in run.stdout
    assert "\x1b" not in run.stdout
    assert "\x07" not in run.stdout


async def test_silent_server_is_named() -> None:
    """The kernel accepts the connection, and nothing answers: as of a stopped process."""
    async with speaking(b"") as port:
        run = await doctor("--json", f"redis://127.0.0.1:{port}")
    assert (run.codes(), run.exit_code) == (["RP206"], 2)


async def test_endless_reply_is_bounded() -> None:
    """A server that announces 1 GB to PING costs neither memory nor more than the time of one target."""
    async with speaking(b"$1073741824\r\n" + b"x" * 4_000_000) as port:
        run = await doctor("--json", f"redis://127.0.0.1:{port}")
    assert run.exit_code == 2
    assert set(run.codes()) <= {"RP224", "RP226", "RP205"}
