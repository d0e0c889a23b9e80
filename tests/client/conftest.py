"""Fixtures of the client tests: a fake server, and a certificate authority that the client trusts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from redis_pulse.config import TlsSettings
from tests.fakes import FakeServer


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path) -> TlsSettings:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return TlsSettings(ca_file=tmp_path / "ca.pem")
