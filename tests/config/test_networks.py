"""Networks and names of an allow list, and the addresses that connections of an adopted target may have."""

import ipaddress

import pytest

from redis_pulse.config.networks import PermittedAddresses, matches_name, numeric_host, split_patterns

NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))


def test_patterns_are_split_into_networks_and_names() -> None:
    networks, names = split_patterns(["10.1.2.3/8", "Cache.Internal.", "*.redis.svc", "::1"])
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128"]
    assert names == ("cache.internal", "*.redis.svc")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("cache.internal", True), ("CACHE.internal.", True), ("a.redis.svc", True), ("a.b.redis.svc", True)),
        *(("redis.svc", False), ("xredis.svc", False), ("cache.internal.evil.example", False)),
    ],
)
def test_name_matches_itself_and_what_a_star_stands_for(host: str, expected: bool) -> None:
    assert matches_name(host, ("cache.internal", "*.redis.svc")) is expected


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "10.0.0.1.example"])
def test_other_spellings_of_an_address_are_names(host: str) -> None:
    """The resolver reads 127.1 as an address. So the list checks what it returns, not the text."""
    assert numeric_host(host) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *(("10.255.0.1", True), ("::ffff:10.0.0.1", True), ("2001:db8::5", True)),
        *(("11.0.0.1", False), ("127.0.0.1", False), ("::1", False), ("fe80::1%eth0", False), ("name", False)),
    ],
)
def test_only_addresses_in_a_network_are_permitted(address: str, expected: bool) -> None:
    assert (address in PermittedAddresses(NETWORKS)) is expected


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1"]
)
def test_list_of_names_does_not_lead_back_into_the_machine(address: str) -> None:
    """The owner of the name could let it lead to the credentials that a cloud serves at 169.254.169.254."""
    assert address not in PermittedAddresses()
    assert "192.0.2.7" in PermittedAddresses()
