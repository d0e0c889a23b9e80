"""URLs and listen addresses are parsed. Passwords are never shown. Paths of other pages are reserved."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config import Endpoint, parse_listen, parse_url, telemetry_path_error
from redis_pulse.config.url import RESERVED_PATHS
from redis_pulse.migrate import values


@pytest.mark.parametrize(
    ("text", "address", "tls"),
    [
        ("redis://cart", "cart:6379", False),
        ("redis://cart:7000/3", "cart:7000", False),
        ("rediss://cart", "cart:6379", True),
        ("valkey://cart", "cart:6379", False),
        ("valkeys://CART:1", "cart:1", True),
        ("REDIS://cart", "cart:6379", False),
        ("cart:7000", "cart:7000", False),
        (" cart ", "cart:6379", False),
        ("cart:7000/2", "cart:7000", False),
        (":7000", "localhost:7000", False),
        ("redis://", "localhost:6379", False),
        ("redis://[::1]", "[::1]:6379", False),
        ("redis://u:p@[fe80::1]:7000", "[fe80::1]:7000", False),
        ("::1", "[::1]:6379", False),
        ("redis://127.0.0.1:6380?db=2", "127.0.0.1:6380", False),
    ],
)
def test_tcp_address_is_parsed_in_every_common_form(text: str, address: str, tls: bool) -> None:
    endpoint = parse_url(text).endpoint
    assert (endpoint.kind, endpoint.address, endpoint.tls, str(endpoint)) == ("tcp", address, tls, address)


@pytest.mark.parametrize(
    "text", ["unix:///run/redis.sock", "unix:/run/redis.sock", "/run/redis.sock", "unix://u:p@/run/redis.sock?db=1"]
)
def test_unix_socket_is_parsed_in_every_common_form(text: str) -> None:
    endpoint = parse_url(text).endpoint
    assert (endpoint.kind, endpoint.address) == ("unix", "/run/redis.sock")


def test_credentials_and_database_are_decoded() -> None:
    url = parse_url("rediss://us%40er:p%2Fw%3A@cart:7000/5?ssl_cert_reqs=CERT_NONE")
    assert url.password is not None
    assert (url.username, url.password.get_secret_value(), url.db, url.cert_reqs) == ("us@er", "p/w:", 5, "none")
    assert url.endpoint == Endpoint("redis", "cart", 7000, tls=True)
    assert "p/w" not in repr(url)


def test_credentials_may_be_parameters_as_in_redis_py() -> None:
    url = parse_url("redis://cart?username=me&password=secret&db=2")
    assert url.password is not None
    assert (url.username, url.password.get_secret_value(), url.db) == ("me", "secret", 2)


def test_password_with_at_sign_ends_at_the_last_one() -> None:
    url = parse_url("redis://:p@ss@cart")
    assert url.password is not None
    assert (url.password.get_secret_value(), url.endpoint.host, url.username) == ("p@ss", "cart", None)


def test_empty_password_is_none() -> None:
    assert parse_url("redis://me:@cart").password is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must not be empty"),
        ("reids://cart", "has the unknown scheme reids://: did you mean redis://?"),
        ("valkies://cart", "did you mean valkeys://?"),
        ("http://cart", "use one of redis://, rediss://"),
        ("abcdefghijklmnopqrstuvwxyz://cart", "must start with one of redis://"),
        ("redis:/cart", "must have two slashes after redis:"),
        ("redis-sentinel://cart", "names a Sentinel"),
        ("redis://cart:port", "must have a port between 1 and 65535"),
        ("redis://cart:0", "must have a port between 1 and 65535"),
        ("redis://[::1", "must write an IPv6 address as"),
        ("redis://a:b:c", "must be host:port"),
        ("redis//cart", "must have a colon after redis: redis://"),
        ("redis://me:x@a,b", "has a comma in its host"),
        ("redis://ca rt", "has a host name with invalid characters"),
        ("redis://cart/x", "must have the number of a database"),
        ("redis://cart?retry=1", "has a parameter other than"),
        ("redis://cart?ssl_cert_reqs=x", "must have ssl_cert_reqs="),
        ("redis://:pa/ss@cart", "must be percent-encoded"),
        ("redis://:pa#ss@cart", "must be percent-encoded"),
        ("me:secret@cart", "must start with redis://"),
        ("unix://redis.sock", "must contain the full path of a socket"),
        ("unix://u:p/w@/redis.sock", "must be percent-encoded"),
        ("unix:///u:p@/redis.sock", "with @ written as %40"),
    ],
)
def test_bad_url_is_rejected_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_url(text)


@given(st.text(alphabet="redisunx:/@[]?#%&=. 0", max_size=30), st.text(alphabet="redisunx:/@[]?#%&=. 0", max_size=30))
def test_password_is_not_repeated_whatever_is_around_it(before: str, after: str) -> None:
    """The password of a mangled URL must not appear in a message or in an address."""
    try:
        shown = parse_url(f"{before}://me:Tr0ub4dor@{after}").endpoint.address
    except ValueError as error:
        shown = str(error)
    assert "tr0ub4dor" not in shown.lower()


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("redis://127.0.0.1", True),
        ("redis://127.8.8.8:1", True),
        ("redis://[::1]", True),
        ("localhost", True),
        ("unix:///run/redis.sock", True),
        ("redis://10.0.0.7", False),
        ("redis://redis.internal", False),
    ],
)
def test_is_local_for_addresses_of_this_machine(url: str, local: bool) -> None:
    assert parse_url(url).endpoint.is_local is local


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9121", "", 9121),
        ("9121", "", 9121),
        (" 9121 ", "", 9121),
        ("127.0.0.1:9121", "127.0.0.1", 9121),
        ("localhost:0", "localhost", 0),
        ("*:9121", "*", 9121),
        ("[::1]:9121", "::1", 9121),
        ("[::]:65535", "::", 65535),
        ("[fe80::1%eth0]:9121", "fe80::1%eth0", 9121),
        ("redis-pulse.internal:80", "redis-pulse.internal", 80),
    ],
)
def test_listen_address_is_parsed(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "such as :9121"),
        ("localhost", "such as :9121"),
        ("http://localhost:9121", "such as :9121"),
        ("localhost:", "such as :9121"),
        ("a b:9121", "such as :9121"),
        ("::1:9121", "brackets, for example [::1]:9121"),
        ("2001:db8::7", "brackets"),
        (":99999", "at most 65535"),
        (":-1", "such as :9121"),
        (":٣", "such as :9121"),
    ],
)
def test_bad_listen_address_is_rejected_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_listen(text)


@pytest.mark.parametrize("path", [*RESERVED_PATHS, "/-/healthy", "/redis/ping", "metrics", "/m?x", "/m x", ""])
def test_reserved_path_is_rejected_by_settings_and_migrate_flags(path: str) -> None:
    assert telemetry_path_error(path)
    with pytest.raises(ValueError, match=r"must be a path|belongs to another page"):
        values.telemetry_path(path)


@pytest.mark.parametrize("path", ["/metrics", "/m", "/scrape/all", "/redis", "/healthz", "/a/b.c"])
def test_other_path_is_accepted_by_settings_and_migrate_flags(path: str) -> None:
    assert telemetry_path_error(path) == ""
    assert values.telemetry_path(path) == path
