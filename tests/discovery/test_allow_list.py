"""Only an address in the allow list may be a target."""

import pytest

from redis_pulse.config import parse_url
from redis_pulse.discovery.allow_list import AllowList

PATTERNS = ("10.0.0.0/8", "fd00::/8", "*.redis.internal", "cache.example.org")


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3:6379",
        "[fd00::7]:6379",
        "[::ffff:10.0.0.1]:6379",
        "a.redis.internal:1",
        "A.B.Redis.Internal",
        "cache.example.org",
    ],
)
def test_address_in_the_list_is_allowed(address: str) -> None:
    assert AllowList(PATTERNS)(parse_url(address).endpoint)


@pytest.mark.parametrize(
    "address",
    [
        *("11.0.0.1:6379", "169.254.169.254:80", "[fe80::1]:6379", "[::ffff:11.0.0.1]:6379", "127.0.0.1"),
        *("redis.internal", "evilredis.internal", "a.redis.internal.evil.org", "cache.example.org.evil.org"),
        *("10.0.0.1.evil.org", "unix:///run/redis.sock"),
    ],
)
def test_address_outside_the_list_is_not_allowed(address: str) -> None:
    assert not AllowList(PATTERNS)(parse_url(address).endpoint)


def test_empty_list_allows_every_address() -> None:
    assert AllowList(())(parse_url("11.0.0.1").endpoint)
