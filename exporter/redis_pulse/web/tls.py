"""Make the TLS context of the pages from the web configuration file, and check the names of client certificates."""

import asyncio.sslproto
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from redis_pulse.config import ConfigError, ParsedWebConfig, Problem, TlsServerConfig
from redis_pulse.config.go_tls_names import CURVES, POST_QUANTUM_CURVE, TLS12_CIPHERS

#: Seconds for the handshake of a client. It belongs to the first request, which has as long.
HANDSHAKE_TIMEOUT = 10.0
#: Seconds for a client to confirm the end of a connection.
SHUTDOWN_TIMEOUT = 1.0
#: Bytes that asyncio reserves for each TLS connection. Its own value is 256 KiB, so 500 clients would take 128 MB.
BUFFER_BYTES = 8 * 1024
_CURVES_OF_OLD_PYTHON = ("CurveP256", "CurveP384", "CurveP521")

asyncio.sslproto.SSLProtocol.max_size = BUFFER_BYTES

#: Returns the content of a file that the web configuration names. Raises ConfigError.
ReadFile = Callable[[Path, str], bytes]


@dataclass(frozen=True, eq=False)
class TlsAccess:
    """How a new connection is encrypted, and which clients may have one."""

    context: ssl.SSLContext
    requires_client: bool
    allowed_sans: frozenset[str] = frozenset()

    def permits(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether the certificate of a client has one of the required names.

        A client without a certificate is permitted. The handshake has refused it if it needs one.
        """
        if not self.allowed_sans:
            return True
        certificate = transport.get_extra_info("peercert") or {}
        return not certificate or not self.allowed_sans.isdisjoint(subject_alternative_names(certificate))


class TlsSource(Protocol):
    """Gives new connections their TLS. The server calls it for every client."""

    async def for_new_connection(self) -> TlsAccess | None:
        """Return the TLS of a new connection, or None for plain HTTP. Never raises, and never takes long."""
        ...

    def is_current(self, tls: TlsAccess | None) -> bool:
        """Return whether a connection that has this TLS may stay open after its response."""
        ...


def subject_alternative_names(certificate: dict[str, Any]) -> Iterator[str]:
    """Yield the names in a certificate: of hosts, of e-mail addresses, of URIs, and IP addresses as Go writes them."""
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            yield value
        elif kind == "IP Address":
            try:
                yield str(ipaddress.ip_address(value.strip()))
            except ValueError:
                continue


def build_tls(parsed: ParsedWebConfig, read: ReadFile) -> tuple[TlsAccess | None, list[str]]:
    """Return the TLS that a web configuration file describes, and warnings. Return None for plain HTTP.

    ``read`` returns the content of the files that it names. Raises ConfigError.
    """
    tls = parsed.config.tls_server_config
    if tls.is_empty:
        return None, []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    _set_versions(context, tls)
    warnings = _set_curves(context, tls)
    _load_certificate(context, parsed, read)
    if tls.checks_client:
        context.verify_mode = ssl.CERT_REQUIRED if tls.requires_client else ssl.CERT_OPTIONAL
        _load_authorities(context, parsed, read)
    return TlsAccess(context, tls.requires_client, frozenset(tls.client_allowed_sans)), warnings


def _set_versions(context: ssl.SSLContext, tls: TlsServerConfig) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.min_version == "TLS13" else ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if tls.max_version == "TLS12" else ssl.TLSVersion.TLSv1_3
    ciphers = [TLS12_CIPHERS[name] for name in tls.cipher_suites if name in TLS12_CIPHERS]
    if ciphers:
        context.set_ciphers(":".join(ciphers))
    elif tls.cipher_suites:  # those of TLS 1.3 alone
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def _set_curves(context: ssl.SSLContext, tls: TlsServerConfig) -> list[str]:
    """Set the curves if Python can, and return a warning if it cannot. The default ones are safe."""
    curves = [name for name in tls.curve_preferences if name != POST_QUANTUM_CURVE]
    if not curves:
        return []
    if hasattr(context, "set_groups"):  # Python 3.15 or later
        context.set_groups(":".join(CURVES[name] for name in curves))
        return []
    if len(curves) == 1 and curves[0] in _CURVES_OF_OLD_PYTHON:
        context.set_ecdh_curve(CURVES[curves[0]])
        return []
    return [
        "curve_preferences has no effect: this Python can set one of CurveP256, CurveP384, CurveP521; OpenSSL chooses"
    ]


def _load_certificate(context: ssl.SSLContext, parsed: ParsedWebConfig, read: ReadFile) -> None:
    tls = parsed.config.tls_server_config
    cert_name = "cert" if tls.cert else "cert_file"
    key_name = "key" if tls.key else "key_file"
    cert = tls.cert.encode() if tls.cert else read(_path(tls.cert_file), cert_name)
    key = tls.key.get_secret_value().encode() if tls.key else read(_path(tls.key_file), key_name)
    if b"-----BEGIN CERTIFICATE-----" not in cert:
        raise _error(
            parsed, cert_name, "has no certificate in PEM format", "it begins with -----BEGIN CERTIFICATE-----"
        )
    if b"PRIVATE KEY-----" not in key:
        raise _error(parsed, key_name, "has no private key in PEM format", "it begins with -----BEGIN PRIVATE KEY-----")
    if b"ENCRYPTED" in key:
        raise _error(parsed, key_name, "is encrypted", "`openssl pkey -in FILE` removes the passphrase")
    try:
        with _private_file(cert) as cert_path, _private_file(key) as key_path:
            context.load_cert_chain(cert_path, key_path, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            hint = "both files may be in the middle of a renewal"
            raise _error(parsed, key_name, f"is not the key of {cert_name}", hint) from None
        reason = (error.reason or "unreadable").lower().replace("_", " ")
        raise _error(parsed, cert_name, f"and {key_name} cannot be used: {reason}") from None
    except (OSError, ValueError) as error:
        raise _error(parsed, cert_name, f"and {key_name} cannot be used: {type(error).__name__}") from None


def _load_authorities(context: ssl.SSLContext, parsed: ParsedWebConfig, read: ReadFile) -> None:
    tls = parsed.config.tls_server_config
    name = "client_ca" if tls.client_ca else "client_ca_file"
    if not tls.client_ca and tls.client_ca_file is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go does
        return
    text = tls.client_ca or read(_path(tls.client_ca_file), name).decode("utf-8", "replace")
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise _error(parsed, name, "has no certificate in PEM format, or a damaged one") from None


def _path(file: Path | None) -> Path:
    assert file is not None, "the model requires it"  # noqa: S101
    return file


def _error(parsed: ParsedWebConfig, name: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(parsed.locate("tls_server_config", name), message, hint)])


def _refuse_password() -> str:
    raise ValueError  # OpenSSL would ask for it on the terminal


@contextmanager
def _private_file(data: bytes) -> Iterator[str]:
    """Give the path of a file with this content, because Python loads certificates from files only.

    It is in memory where the system can do that, and for no other user.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("redis-pulse", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile() as file:  # pragma: no cover  # macOS
        file.write(data)
        file.flush()
        yield file.name
