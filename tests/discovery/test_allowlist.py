"""Only what stands on the list may be a target."""

import pytest

from redis_pulse.config import parse_url
from redis_pulse.discovery.manager import AllowList

LIST = ("10.0.0.0/8", "fd00::/8", "*.redis.internal", "cache.example.org")


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
def test_what_is_on_the_list_may_be_a_target(address: str) -> None:
    assert AllowList(LIST)(parse_url(address).endpoint)


@pytest.mark.parametrize(
    "address",
    [
        *("11.0.0.1:6379", "169.254.169.254:80", "[fe80::1]:6379", "[::ffff:11.0.0.1]:6379", "127.0.0.1"),
        *("redis.internal", "evilredis.internal", "a.redis.internal.evil.org", "cache.example.org.evil.org"),
        *("10.0.0.1.evil.org", "unix:///run/redis.sock"),
    ],
)
def test_what_is_not_on_the_list_may_not(address: str) -> None:
    assert not AllowList(LIST)(parse_url(address).endpoint)


def test_without_a_list_everything_may() -> None:
    assert AllowList(())(parse_url("11.0.0.1").endpoint)
