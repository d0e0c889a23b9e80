"""A server that was only announced gets the password only near a server that the operator named."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from redis_pulse.config import ClusterSettings, Endpoint, SourceSettings, TargetSettings, TlsSettings, parse_url
from redis_pulse.discovery.allow_list import AllowList
from redis_pulse.discovery.announced import MAX_LOOKUPS, AnnouncedServers
from tests.harness import target_settings

DNS = {
    "cart.prod.example.org": ["10.0.0.1"],
    "clustercfg.cart.abc.cache.amazonaws.com": ["10.0.0.1", "10.0.1.1"],
    "a.prod.example.org": ["10.7.7.7"],
    "redis-0.redis-headless.ns.svc.cluster.local": ["10.3.0.4"],
    "node-2": ["10.3.0.5"],
    "elsewhere.prod.example.org": ["10.0.0.1", "203.0.113.5"],
    "rebinding.evil.example": ["10.0.0.66"],
    "dual": ["10.0.0.8", "fd00::8"],
    "localhost": ["127.0.0.1", "::1"],
}


class Names:
    """Answers from ``DNS``, and records the lookups."""

    def __init__(self) -> None:
        self.lookups: list[str] = []
        self.fails = False

    async def __call__(self, name: str) -> Sequence[str]:
        self.lookups.append(name)
        if self.fails or name not in DNS:
            raise OSError("no such name")
        return DNS[name]


def servers(
    *seeds: str, allow: tuple[str, ...] = (), names: Names | None = None, **template: object
) -> AnnouncedServers:
    settings = [target_settings(seed, **template) for seed in seeds]
    source = SourceSettings("cluster", "cart", ClusterSettings(), settings[0], seeds=tuple(settings))
    return AnnouncedServers(source, lambda: AllowList(allow), names or Names())


def at(address: str, *, tls: bool = False) -> Endpoint:
    return parse_url(f"{'rediss' if tls else 'redis'}://{address}").endpoint


async def accepts(rule: AnnouncedServers, address: str) -> bool:
    endpoint = at(address)
    await rule.learn([endpoint.host])
    return rule(endpoint)


@pytest.mark.parametrize(
    ("seed", "address", "expected"),
    [
        ("redis://10.0.0.1", "10.0.0.1:7000", True),
        ("redis://10.0.0.1", "10.255.0.9:6379", True),
        ("redis://10.0.0.1", "[::ffff:10.255.0.9]:6379", True),
        ("redis://10.0.0.1", "172.16.0.9:6379", False),
        ("redis://10.0.0.1", "192.168.0.9:6379", False),
        ("redis://10.0.0.1", "203.0.113.9:6379", False),
        ("redis://10.0.0.1", "127.0.0.1:6379", False),
        ("redis://10.0.0.1", "169.254.169.254:80", False),
        ("redis://172.17.0.2", "172.31.0.9:6379", True),
        ("redis://172.17.0.2", "172.32.0.9:6379", False),
        ("redis://203.0.113.5", "203.0.113.5:7000", True),
        ("redis://203.0.113.5", "203.0.113.6:6379", False),
        ("redis://127.0.0.1:7000", "127.0.0.1:7001", True),
        ("redis://localhost:7000", "127.0.0.1:7001", True),
        ("redis://localhost:7000", "[::1]:7001", True),
        ("redis://127.0.0.1:7000", "10.0.0.1:7001", False),
        ("redis://[fd00::1]", "[fd00::2]:6379", True),
        ("redis://[fd00::1]", "[2001:db8::2]:6379", False),
        ("redis://cart.prod.example.org", "10.9.9.9:6379", True),
        ("redis://cart.prod.example.org", "cart.prod.example.org:7000", True),
        ("redis://cart.prod.example.org", "CART.prod.example.org.:7000", True),
        ("redis://cart.prod.example.org", "a.prod.example.org:6379", True),
        ("redis://cart.prod.example.org", "elsewhere.prod.example.org:6379", False),
        ("redis://cart.prod.example.org", "rebinding.evil.example:6379", False),
        ("redis://10.0.0.1", "rebinding.evil.example:6379", False),
        ("redis://10.0.0.1", "a.prod.example.org:6379", False),
        ("redis://10.0.0.1", "redis-0.redis-headless.ns.svc.cluster.local:6379", True),
        ("redis://10.0.0.1", "node-2:6379", True),
        ("redis://10.0.0.1", "dual:6379", False),
        ("redis://clustercfg.cart.abc.cache.amazonaws.com", "10.0.9.9:6379", True),
    ],
)
async def test_server_is_accepted_only_near_a_seed(seed: str, address: str, *, expected: bool) -> None:
    assert await accepts(servers(seed), address) is expected


async def test_list_of_allowed_servers_decides_alone() -> None:
    rule = servers("redis://10.0.0.1", allow=("192.168.0.0/16", "*.example.org"))
    assert await accepts(rule, "192.168.0.1:6379")
    assert await accepts(rule, "anything.example.org:6379")
    assert not await accepts(rule, "10.0.0.2:6379")


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (TlsSettings(ca_file=Path("ca.pem")), True),
        (TlsSettings(), False),
        (TlsSettings(ca_file=Path("ca.pem"), cert_reqs="none", check_hostname=False), False),
        (TlsSettings(ca_file=Path("ca.pem"), cert_reqs="optional"), False),
    ],
)
def test_own_authority_accepts_every_address(tls: TlsSettings, *, expected: bool) -> None:
    """A foreign host has no certificate of this authority, so it never receives the password."""
    rule = servers("rediss://10.0.0.1", tls=tls)
    assert rule(at("203.0.113.9:6379", tls=True)) is expected
    assert not rule(at("203.0.113.9:6379")), "without TLS, no certificate is checked"


def test_own_authority_of_the_servers_does_not_count_for_the_sentinels() -> None:
    """The Sentinels have their own TLS settings, and get another password."""
    template = target_settings("rediss://placeholder", tls=TlsSettings(ca_file=Path("ca.pem")))
    sentinel: TargetSettings = target_settings("rediss://10.0.0.1:26379")
    source = SourceSettings("sentinel", "queue", ClusterSettings(), template, seeds=(sentinel,))
    rule = AnnouncedServers(source, lambda: AllowList(()), Names())
    assert not rule(at("203.0.113.9:26379", tls=True))


@pytest.mark.parametrize("domain", ["co.uk", "com.au"])
async def test_domain_of_a_registry_is_not_the_domain_of_a_seed(domain: str) -> None:
    addresses = {f"mine.{domain}": ["10.0.0.1"], f"evil.{domain}": ["10.0.0.66"]}

    async def resolve(name: str) -> Sequence[str]:
        return addresses[name]

    seed = target_settings(f"redis://mine.{domain}")
    source = SourceSettings("cluster", "cart", ClusterSettings(), seed, seeds=(seed,))
    assert not await accepts(AnnouncedServers(source, lambda: AllowList(()), resolve), f"evil.{domain}:6379")


async def test_accepted_name_stays_while_dns_fails() -> None:
    names = Names()
    rule = servers("redis://cart.prod.example.org", names=names)
    assert await accepts(rule, "a.prod.example.org:6379")
    assert await accepts(rule, "10.1.1.1:6379")
    names.fails = True
    assert await accepts(rule, "a.prod.example.org:6379")
    assert await accepts(rule, "10.1.1.1:6379")


async def test_own_name_without_an_address_is_accepted_until_it_has_a_foreign_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lost node may have no address for a while, and its target must report that."""
    rule = servers("redis://cart.prod.example.org")
    assert await accepts(rule, "lost.prod.example.org:6379")
    monkeypatch.setitem(DNS, "lost.prod.example.org", ["203.0.113.5"])
    assert not await accepts(rule, "lost.prod.example.org:6379")


async def test_names_that_one_call_looks_up_are_limited() -> None:
    names = Names()
    rule = servers("redis://10.0.0.1", names=names)
    await rule.learn(f"node-{number}" for number in range(5000))
    assert len(names.lookups) <= MAX_LOOKUPS


async def test_known_hosts_are_not_looked_up() -> None:
    names = Names()
    rule = servers("redis://cart.prod.example.org", names=names)
    await rule.learn(["cart.prod.example.org"])
    assert names.lookups == []
