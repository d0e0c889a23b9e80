"""DNS records become targets; a resolver in the test answers over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from redis_pulse.config import DnsSourceSettings
from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.dns_sd import DnsSource
from tests.discovery.context import RecordingContext, source_of

ZONE = {
    ("redis.test.", "A"): ["10.0.0.2", "10.0.0.1"],
    ("redis.test.", "AAAA"): ["2001:db8::1"],
    ("_redis._tcp.test.", "SRV"): ["0 0 6380 a.test.", "0 0 6381 b.test."],
    ("_old._tcp.test.", "SRV"): ["0 0 0 .", "0 0 6380 a.test."],
    ("empty.test.", "AAAA"): ["2001:db8::2"],
}


class Resolver(asyncio.DatagramProtocol):
    """Answers from ``ZONE``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        if records := ZONE.get((name, kind)):
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in ZONE):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), address)


@pytest.fixture
async def server() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
    yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    transport.close()


async def names(server: str, **values: object) -> list[str]:
    options = DnsSourceSettings.model_validate({"server": server, **values})
    return [
        target.name
        for target in await DnsSource(source_of("dns", "x", options), options, RecordingContext().build()).refresh()
    ]


async def test_addresses_of_a_headless_service_are_targets_in_sorted_order(server: str) -> None:
    assert await names(server, name="redis.test") == ["10.0.0.1:6379", "10.0.0.2:6379"]
    assert await names(server, name="redis.test", port=7000) == ["10.0.0.1:7000", "10.0.0.2:7000"]


async def test_ipv6_address_has_brackets(server: str) -> None:
    assert await names(server, name="redis.test", type="AAAA") == ["[2001:db8::1]:6379"]


async def test_srv_records_set_host_and_port(server: str) -> None:
    assert await names(server, name="_redis._tcp.test", type="SRV") == ["a.test:6380", "b.test:6381"]


async def test_record_that_names_no_server_costs_only_itself(server: str) -> None:
    """Attack L2: a record with port 0 says that the service is not here (RFC 2782)."""
    context = RecordingContext()
    options = DnsSourceSettings.model_validate({"server": server, "name": "_old._tcp.test", "type": "SRV"})
    source = DnsSource(source_of("dns", "x", options), options, context.build())
    assert [target.name for target in await source.refresh()] == ["a.test:6380"]
    assert context.rejected == ["unreadable: the record 0 0 0 . must have a port between 1 and 65535"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere.test", "the name does not exist"), ("empty.test", "the name has no A record")],
)
async def test_name_without_records_is_an_error(server: str, name: str, message: str) -> None:
    """An error keeps the known targets; an empty list would remove them."""
    with pytest.raises(DiscoveryError, match=message):
        await names(server, name=name)
