"""A URL holds an address and perhaps a password: the first is shown, the second never."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config import Endpoint, parse_url


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
def test_an_address_over_tcp_is_read_in_every_common_spelling(text: str, address: str, tls: bool) -> None:
    endpoint = parse_url(text).endpoint
    assert (endpoint.kind, endpoint.address, endpoint.tls, str(endpoint)) == ("tcp", address, tls, address)


@pytest.mark.parametrize(
    "text", ["unix:///run/redis.sock", "unix:/run/redis.sock", "/run/redis.sock", "unix://u:p@/run/redis.sock?db=1"]
)
def test_a_socket_is_read_in_every_common_spelling(text: str) -> None:
    endpoint = parse_url(text).endpoint
    assert (endpoint.kind, endpoint.address) == ("unix", "/run/redis.sock")


def test_credentials_and_database_are_taken_out_and_decoded() -> None:
    url = parse_url("rediss://us%40er:p%2Fw%3A@cart:7000/5?ssl_cert_reqs=CERT_NONE")
    assert url.password is not None
    assert (url.username, url.password.get_secret_value(), url.db, url.cert_reqs) == ("us@er", "p/w:", 5, "none")
    assert url.endpoint == Endpoint("redis", "cart", 7000, tls=True)
    assert "p/w" not in repr(url)


def test_credentials_may_come_as_parameters_as_redis_py_takes_them() -> None:
    url = parse_url("redis://cart?username=me&password=secret&db=2")
    assert url.password is not None
    assert (url.username, url.password.get_secret_value(), url.db) == ("me", "secret", 2)


def test_a_password_with_an_at_sign_ends_at_the_last_one() -> None:
    url = parse_url("redis://:p@ss@cart")
    assert url.password is not None
    assert (url.password.get_secret_value(), url.endpoint.host, url.username) == ("p@ss", "cart", None)


def test_an_empty_password_is_none() -> None:
    assert parse_url("redis://me:@cart").password is None


@pytest.mark.parametrize(
    ("text", "told"),
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
        ("redis://ca rt", "has a host name with characters that no host name has"),
        ("redis://cart/x", "must have the number of a database"),
        ("redis://cart?retry=1", "has a parameter other than"),
        ("redis://cart?ssl_cert_reqs=x", "must have ssl_cert_reqs="),
        ("redis://:pa/ss@cart", "must be percent-encoded"),
        ("redis://:pa#ss@cart", "must be percent-encoded"),
        ("me:secret@cart", "must start with redis://"),
        ("unix://redis.sock", "must hold the whole path of a socket"),
        ("unix://u:p/w@/redis.sock", "must be percent-encoded"),
        ("unix:///u:p@/redis.sock", "with @ written as %40"),
    ],
)
def test_a_bad_url_is_refused_with_a_cure(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_url(text)


@given(st.text(alphabet="redisunx:/@[]?#%&=. 0", max_size=30), st.text(alphabet="redisunx:/@[]?#%&=. 0", max_size=30))
def test_whatever_stands_around_a_password_it_is_not_repeated(before: str, after: str) -> None:
    """A URL cut and pasted badly must not bring its password into a message, nor into an address."""
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
def test_an_endpoint_knows_whether_it_is_on_this_machine(url: str, local: bool) -> None:
    assert parse_url(url).endpoint.is_local is local
