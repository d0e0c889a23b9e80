"""The TLS context of a target."""

import asyncio
import os
import ssl
from pathlib import Path

import trustme

from redis_pulse.client.tls import TlsContext
from redis_pulse.config import TlsSettings


async def test_targets_with_different_checks_share_no_context() -> None:
    """Two targets without certificate files connect at once. Only one of them checks the server."""
    strict, unchecked = TlsContext(TlsSettings()), TlsContext(TlsSettings(cert_reqs="none", check_hostname=False))
    unchecked_context, strict_context = await asyncio.gather(unchecked.ready(), strict.ready())
    assert (unchecked_context.verify_mode, strict_context.verify_mode) == (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    assert strict_context.check_hostname


async def test_changed_ca_file_makes_new_context(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    context = TlsContext(TlsSettings(ca_file=file))
    first = context()
    assert context() is first

    os.utime(file, (1, 1))
    assert context() is not first
