"""Find out why a TLS handshake fails, and when the certificate ends."""

import re
import ssl
import time
from datetime import UTC, datetime
from functools import partial

from redis_pulse.blocking import FILES, BlockedError, read_regular_file
from redis_pulse.client import ProbeConnection
from redis_pulse.doctor.examination import Examination
from redis_pulse.doctor.first_contact import (
    Contact,
    accepted_versions,
    sniff,
    speaks_https,
    speaks_tls,
    unchecked_certificate,
)
from redis_pulse.errors import ConnectionResetByTargetError, OperationTimeoutError, TlsError

#: Days before its end from which a certificate is a warning, as the alert RedisTLSCertificateExpiring has it.
_SOON_DAYS = 14
_DAY = 86400
_MAX_FILE_BYTES = 10_000_000
#: ``Validity`` of a certificate: two times in a sequence, the begin and the end.
_VALIDITY = re.compile(
    rb"\x30.(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)", re.DOTALL
)
#: Codes of ``X509_V_ERR_…`` → key of the advice.
_BY_VERIFY_CODE = {
    9: "tls.not_yet",
    10: "tls.expired",
    62: "tls.name",
    64: "tls.name",
    **dict.fromkeys((2, 18, 19, 20, 21, 24, 26), "tls.authority"),
}


async def check(examination: Examination) -> bool:
    """Report why TLS fails, a port with or without TLS, and the end of the certificate."""
    found = await examination.reach()
    if found.error is not None and found.phase in ("dns", "tcp"):
        return False
    if examination.target.endpoint.kind == "unix":
        return False
    if not examination.target.endpoint.tls:
        await _find_wanted_tls(examination, found)
        return True
    if "tcp" not in found.seconds and isinstance(found.error, TlsError) and await _report_unreadable(examination):
        return True
    if found.error is not None and await _explain(examination, found):
        return True
    if found.connection is not None:
        await _report_facts(examination, found.connection)
    return True


async def _find_wanted_tls(examination: Examination, found: Contact) -> None:
    """Report a port that wants TLS, if a plain connection got no sensible reply."""
    is_silent = isinstance(found.error, ConnectionResetByTargetError | OperationTimeoutError)
    if is_silent and await speaks_tls(examination.target.endpoint):
        examination.findings.add("tls.wanted")


async def _report_unreadable(examination: Examination) -> bool:
    """Report the files of TLS that cannot be read. Return whether there are any."""
    target, is_any = examination.target, False
    for name in ("ca_file", "cert_file", "key_file"):
        if (path := getattr(target.tls, name)) is None:
            continue
        try:
            await FILES.run(path, partial(read_regular_file, path, _MAX_FILE_BYTES), within=1)
        except (BlockedError, OSError) as error:
            problem = getattr(error, "strerror", None) or "no answer in time"
            examination.findings.add(
                "secret.unreadable", location=target.name, problem=f"tls.{name}: {problem}", path=str(path)
            )
            is_any = True
    return is_any


async def _explain(examination: Examination, found: Contact) -> bool:
    """Report why TLS failed. Return False if the error is not about TLS."""
    error, findings, endpoint = found.error, examination.findings, examination.target.endpoint
    text = str(error)
    if (found.phase == "tls" and not isinstance(error, TlsError)) or "wrong version" in text or "record layer" in text:
        kind, _ = await sniff(endpoint)
        if kind in ("redis", "http", "ssh"):
            if kind == "redis":
                findings.add("tls.plain_port")
            return True
    if "client certificate" in text or "certificate required" in text:
        # A web server closes the connection too, when a line is no request.
        is_web = isinstance(error, ConnectionResetByTargetError) and await speaks_https(endpoint)
        findings.add("protocol.http" if is_web else "tls.client_certificate")
        return True
    if not isinstance(error, TlsError):
        if found.phase != "tls":
            return False
        findings.add("tls", problem=text)
        return True
    cause = error.__cause__
    code = cause.verify_code if isinstance(cause, ssl.SSLCertVerificationError) else 0
    key = _BY_VERIFY_CODE.get(code, "tls")
    since, until, names = "an unknown date", "an unknown date", "other names"
    if key in ("tls.expired", "tls.not_yet", "tls.name"):
        certificate = await unchecked_certificate(endpoint) or b""
        since, until = begin_of(certificate) or since, end_of(certificate) or until
        names = ", ".join(names_in(certificate)) or names
    findings.add(key, problem=text, since=since, until=until, names=names)
    return True


async def _report_facts(examination: Examination, connection: ProbeConnection) -> None:
    target = examination.target
    if target.tls.cert_reqs == "none":
        examination.findings.add("tls.unchecked")
    expires = connection.certificate_expires
    if expires is None:
        return
    days = int((expires - time.time()) // _DAY)
    until = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d")
    if days < _SOON_DAYS:
        examination.findings.add("certificate", days=days, until=until)
    versions = await accepted_versions(target.endpoint, target.tls)
    examination.findings.add(
        "tls.facts", version=connection.tls_version or "TLS", versions=" and ".join(versions) or "no other", days=days
    )


def begin_of(certificate: bytes) -> str:
    """Return the date on which a certificate (DER) begins, or an empty text. It is read without checking anything."""
    match = _VALIDITY.search(certificate)
    return "" if match is None else _date(match[1] or match[2])


def end_of(certificate: bytes) -> str:
    """Return the date on which a certificate (DER) ends, or an empty text. It is read without checking anything."""
    match = _VALIDITY.search(certificate)
    return "" if match is None else _date(match[3] or match[4])


def _date(time_of_asn1: bytes) -> str:
    """Return the date of a time with a year of two or four digits."""
    digits = time_of_asn1.decode()
    if len(digits) == 12:
        digits = f"{'19' if int(digits[:2]) >= 50 else '20'}{digits}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"


def names_in(certificate: bytes) -> list[str]:
    """Return the DNS names and IPv4 addresses in the extension ``subjectAltName`` of a certificate (DER)."""
    start = certificate.find(b"\x06\x03\x55\x1d\x11")
    if start < 0:
        return []
    names: list[str] = []
    position, length = start + 5, 0
    for opening in (b"\x01", b"\x04", b"\x30"):  # critical (optional), the octet string, the sequence
        if certificate[position : position + 1] != opening:
            if opening == b"\x01":
                continue
            return []
        length, position = _length(certificate, position + 1)
        if opening == b"\x01":
            position += length
    end = min(position + length, len(certificate))  # a hostile certificate may announce any length
    while position < end and len(names) < 10:
        tag = certificate[position : position + 1]
        length, position = _length(certificate, position + 1)
        value = certificate[position : position + length]
        if tag == b"\x82":
            names.append(value.decode("ascii", errors="replace"))
        elif tag == b"\x87" and length == 4:
            names.append(".".join(map(str, value)))
        position += length
    return names


def _length(data: bytes, position: int) -> tuple[int, int]:
    """Return a length of DER, and the position after it."""
    first = data[position] if position < len(data) else 0
    if first < 0x80:
        return first, position + 1
    count = first & 0x7F
    return int.from_bytes(data[position + 1 : position + 1 + count], "big"), position + 1 + count
