"""Connections of an adopted target use only the permitted addresses, whatever DNS says later."""

import ipaddress
from typing import Any

import pytest

from redis_pulse import errors
from redis_pulse.client import pool, probe_connect
from redis_pulse.client.permitted_addresses import permitted_addresses
from redis_pulse.config.networks import PermittedAddresses
from tests.client.helpers import probe_connection, request
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually

OTHERS = PermittedAddresses((ipaddress.ip_network("10.0.0.0/8"),))
LOOPBACK = PermittedAddresses((ipaddress.ip_network("127.0.0.0/8"),))


def rebind(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let DNS name these addresses, as the owner of a name can do after the check of a request."""

    async def resolve(_host: str, port: int, *, within: float) -> list[tuple[int, Any]]:
        return [(2, (address, port)) for address in addresses]

    monkeypatch.setattr(probe_connect, "resolve", resolve)
    monkeypatch.setattr(pool, "resolve", resolve)


def test_without_a_rule_every_address_is_used() -> None:
    assert permitted_addresses([(2, ("192.0.2.1", 1))], None) == [(2, ("192.0.2.1", 1))]


async def test_ping_does_not_connect_to_an_address_outside(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    rebind(monkeypatch, "127.0.0.1")
    with pytest.raises(errors.NameResolutionError, match=r"scrape\.adopt\.allow"):
        async with probe_connection(f"redis://name.example:{server.port}", permitted=OTHERS):
            pass
    assert server.accepted == 0


async def test_poll_does_not_connect_to_an_address_outside(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    rebind(monkeypatch, "127.0.0.1")
    harness = TargetHarness(f"redis://name.example:{server.port}", permitted=OTHERS)
    with pytest.raises(errors.NameResolutionError, match=r"scrape\.adopt\.allow"):
        await request(harness, "INFO")
    assert server.accepted == 0
    await harness.close()


async def test_numeric_address_is_checked_too(server: FakeServer) -> None:
    harness = TargetHarness(server.url, permitted=OTHERS)
    with pytest.raises(errors.NameResolutionError):
        await request(harness, "INFO")
    await harness.close()


async def test_only_the_permitted_address_of_several_is_used(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebind(monkeypatch, "192.0.2.1", "127.0.0.1")
    url = f"redis://name.example:{server.port}"
    harness = TargetHarness(url, permitted=LOOPBACK)
    await request(harness, "INFO")
    async with probe_connection(url, permitted=LOOPBACK):
        await eventually(lambda: server.accepted == 2)
    await harness.close()
