"""DNS records are targets; asked of a resolver of our own, over a real socket."""

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
    ("empty.test.", "AAAA"): ["2001:db8::2"],
}


class Resolver(asyncio.DatagramProtocol):
    """Answers from ``ZONE``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        if records := ZONE.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in ZONE):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def server() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
    yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    transport.close()


async def names(server: str, **options: object) -> list[str]:
    made = DnsSourceSettings.model_validate({"server": server, **options})
    return [one.name for one in await DnsSource(source_of("dns", "x", made), RecordingContext().build()).refresh()]


async def test_every_address_of_a_headless_service_is_a_target_in_an_order_that_stays(server: str) -> None:
    assert await names(server, name="redis.test") == ["10.0.0.1:6379", "10.0.0.2:6379"]
    assert await names(server, name="redis.test", port=7000) == ["10.0.0.1:7000", "10.0.0.2:7000"]


async def test_ipv6_addresses_stand_in_brackets(server: str) -> None:
    assert await names(server, name="redis.test", type="AAAA") == ["[2001:db8::1]:6379"]


async def test_srv_records_say_hosts_and_ports(server: str) -> None:
    assert await names(server, name="_redis._tcp.test", type="SRV") == ["a.test:6380", "b.test:6381"]


@pytest.mark.parametrize(
    ("name", "says"), [("nowhere.test", "there is no such name"), ("empty.test", "the name has no A record")]
)
async def test_a_name_without_records_is_an_error_so_that_what_was_known_stays(
    server: str, name: str, says: str
) -> None:
    with pytest.raises(DiscoveryError, match=says):
        await names(server, name=name)
