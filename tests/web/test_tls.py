"""The TLS of the pages over real sockets: versions, cipher suites, client certificates and their names."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from redis_pulse.config import ConfigError
from redis_pulse.web import AccessControl, HttpServer, WebConfigWatcher, build, load_web_access
from redis_pulse.web.tls import BUFFER_BYTES, subject_alternative_names
from tests.web.certificates import Certificates, write_config
from tests.web.fakes import FakeDaemon, RawConnection

HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path)
    made.issue("server", "localhost", "127.0.0.1")
    return made


@asynccontextmanager
async def served(
    folder: Path, refused: list[str] | None = None, clock: Any = None, **tls: Any
) -> AsyncIterator[HttpServer]:
    """Serve the pages with a web configuration file that has these settings of TLS."""
    names = {} if "cert" in tls else {"cert_file": "server.crt", "key_file": "server.key"}
    path = write_config(folder, tls_server_config={**names, **tls})
    watcher = WebConfigWatcher(path, on_valid=lambda _valid: None)
    await watcher.start()
    reasons = [] if refused is None else refused
    app = build(FakeDaemon(), access=AccessControl(watcher=watcher))
    server = HttpServer(app, "127.0.0.1:0", tls=watcher, on_refused=reasons.append)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def get(server: HttpServer, certificates: Certificates, client: str = "", **options: Any) -> bytes:
    """Return the response to one request. ``client`` is the name of the certificate that is presented."""
    context = ssl.create_default_context(cafile=certificates.ca_file)
    if client:
        context.load_cert_chain(certificates.folder / f"{client}.crt", certificates.folder / f"{client}.key")
    for name, value in options.items():
        setattr(context, name, value)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="localhost")
    try:
        connection = RawConnection(reader, writer)
        await connection.send(HEALTHY)
        return await connection.read_rest()
    finally:
        writer.transport.abort()


async def is_served(server: HttpServer, certificates: Certificates, client: str = "", **options: Any) -> bool:
    """Return whether a request gets a response. With TLS 1.3 a refused client fails at its first read."""
    try:
        return b" 200 OK" in await get(server, certificates, client, **options)
    except (ssl.SSLError, ConnectionError):
        return False


async def test_page_is_served_over_tls_and_not_in_plain_text(certificates: Certificates, tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        assert await is_served(server, certificates)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        connection = RawConnection(reader, writer)
        await connection.send(HEALTHY)
        assert b"200" not in await connection.read_rest()
        writer.transport.abort()


@pytest.mark.parametrize(
    ("settings", "version", "expected"),
    [
        ({}, ssl.TLSVersion.TLSv1_2, True),
        ({}, ssl.TLSVersion.TLSv1_3, True),
        ({"min_version": "TLS13"}, ssl.TLSVersion.TLSv1_2, False),
        ({"max_version": "TLS12"}, ssl.TLSVersion.TLSv1_2, True),
        ({"max_version": "TLS12"}, ssl.TLSVersion.TLSv1_3, False),
        ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, ssl.TLSVersion.TLSv1_2, False),
        ({"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]}, ssl.TLSVersion.TLSv1_2, True),
        (
            {"cipher_suites": ["TLS_RSA_WITH_AES_128_GCM_SHA256"]},
            ssl.TLSVersion.TLSv1_2,
            False,
        ),  # the key is no RSA key
        ({"curve_preferences": ["CurveP384"]}, ssl.TLSVersion.TLSv1_3, True),
        ({"curve_preferences": ["X25519", "CurveP256"]}, ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_versions_and_cipher_suites_of_go_are_followed(
    certificates: Certificates, tmp_path: Path, settings: dict[str, Any], version: ssl.TLSVersion, expected: bool
) -> None:
    async with served(tmp_path, **settings) as server:
        only: Any = {"minimum_version": version, "maximum_version": version}
        assert await is_served(server, certificates, **only) is expected


async def test_inline_certificate_and_key_are_used(certificates: Certificates, tmp_path: Path) -> None:
    texts: Any = {name: (tmp_path / f"server.{end}").read_text() for name, end in (("cert", "crt"), ("key", "key"))}
    async with served(tmp_path, **texts) as server:
        assert await is_served(server, certificates)


@pytest.mark.parametrize(
    ("policy", "without", "foreign"),
    [
        ("NoClientCert", True, True),
        ("RequestClientCert", True, True),
        ("VerifyClientCertIfGiven", True, False),
        ("RequireAnyClientCert", False, False),
        ("RequireClientCert", False, False),
        ("RequireAndVerifyClientCert", False, False),
    ],
)
async def test_client_certificate_is_required_as_the_policy_says(
    certificates: Certificates, tmp_path: Path, policy: str, without: bool, foreign: bool
) -> None:
    certificates.issue("client")
    certificates.issue("foreign", authority=trustme.CA())
    authority: Any = {} if policy == "NoClientCert" else {"client_ca_file": "ca.crt"}
    async with served(tmp_path, client_auth_type=policy, **authority) as server:
        assert await is_served(server, certificates) is without
        assert await is_served(server, certificates, "client")
        assert await is_served(server, certificates, "foreign") is foreign


@pytest.mark.parametrize("name", ["client.example", "10.1.2.3", "me@client.example", "2001:db8::1"])
async def test_client_needs_one_of_the_allowed_names(certificates: Certificates, tmp_path: Path, name: str) -> None:
    certificates.issue("client", "unused.example", name)
    certificates.issue("other", "other.example")
    refused: list[str] = []
    policy = {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.crt"}
    async with served(tmp_path, refused, **policy, client_allowed_sans=["x.example", name]) as server:
        assert await is_served(server, certificates, "client")
        assert not await is_served(server, certificates, "other")
        assert refused == ["client_certificate"]


async def test_refused_name_gets_no_response_however_early_its_request_is(
    certificates: Certificates, tmp_path: Path
) -> None:
    """The name is checked before the first byte of a request is read."""
    certificates.issue("other", "other.example")
    daemon_requests: list[str] = []
    policy = {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.crt"}
    async with served(tmp_path, daemon_requests, **policy, client_allowed_sans=["x.example"]) as server:
        for _ in range(5):
            assert not await is_served(server, certificates, "other")


async def test_error_responses_work_over_tls(certificates: Certificates, tmp_path: Path) -> None:
    """TLS cannot close one direction, as the refusal of a plain connection does."""
    async with served(tmp_path) as server:
        context = ssl.create_default_context(cafile=certificates.ca_file)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=context, server_hostname="localhost"
        )
        connection = RawConnection(reader, writer)
        await connection.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n")
        assert (await connection.read_rest()).startswith(b"HTTP/1.1 431 ")
        writer.transport.abort()


async def test_unfinished_handshake_is_cut_off(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis_pulse.web.handshakes.HANDSHAKE_TIMEOUT", 0.05)
    async with served(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await RawConnection(reader, writer).read_rest() == b""
        writer.transport.abort()
        assert await is_served(server, certificates)


def test_buffer_of_a_tls_connection_is_small() -> None:
    """asyncio reserves 256 KiB for each connection. If it renames the attribute, 500 clients take 128 MB."""
    assert SSLProtocol.max_size == BUFFER_BYTES
    assert "max_size" in SSLProtocol.__init__.__code__.co_names


def test_names_in_a_certificate_are_written_as_in_go() -> None:
    names = (
        ("DNS", "a"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1\n"),
        ("URI", "spiffe://x"),
        ("IP Address", "?"),
        ("x", "y"),
    )
    assert list(subject_alternative_names({"subjectAltName": names})) == ["a", "2001:db8::1", "spiffe://x"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"server.crt": None}, "tls_server_config.cert_file names a file that does not exist (looked for in"),
        ({"server.key": None}, "tls_server_config.key_file names a file that does not exist"),
        ({"server.crt": ""}, "tls_server_config.cert_file has no certificate in PEM format"),
        ({"server.key": "hunter2"}, "tls_server_config.key_file has no private key in PEM format"),
        (
            {"server.key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED PRIVATE KEY-----\n"},
            "tls_server_config.key_file is encrypted",
        ),
        (
            {"server.crt": "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n"},
            "tls_server_config.cert_file and key_file cannot be used",
        ),
        ({"ca.crt": "hunter2"}, "tls_server_config.client_ca_file has no certificate in PEM format"),
    ],
)
def test_unusable_file_is_named_with_its_setting(
    certificates: Certificates, tmp_path: Path, files: dict[str, str | None], message: str
) -> None:
    for name, text in files.items():
        if text is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_text(text)
    settings = {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.crt"}
    path = write_config(tmp_path, tls_server_config={**settings, "client_auth_type": "RequireAndVerifyClientCert"})
    with pytest.raises(ConfigError) as caught:
        load_web_access(path, "web.yml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("web.yml:")
    assert "hunter2" not in str(caught.value)


def test_key_of_another_certificate_is_named(certificates: Certificates, tmp_path: Path) -> None:
    certificates.issue("other")
    path = write_config(tmp_path, tls_server_config={"cert_file": "server.crt", "key_file": "other.key"})
    with pytest.raises(ConfigError, match="key_file is not the key of cert_file"):
        load_web_access(path, "web.yml")
