"""Where we listen, and what a person reads who cannot have that address."""

import contextlib
import errno
import socket
from collections.abc import Iterator

import pytest

from redis_pulse.web import ListenError, bind, parse_listen, server
from redis_pulse.web.server import ListenAddress


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens already."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


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
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("", "HOST:PORT"),
        ("localhost", "HOST:PORT"),
        ("http://localhost:9121", "HOST:PORT"),
        ("localhost:", "HOST:PORT"),
        ("a b:9121", "HOST:PORT"),
        ("::1:9121", "brackets, for example [::1]:9121"),
        ("2001:db8::7", "brackets"),
        (":99999", "at most 65535"),
        (":-1", "HOST:PORT"),
        (":٣", "HOST:PORT"),
    ],
)
def test_what_is_no_address_is_answered_with_the_cure(text: str, cure: str) -> None:
    with pytest.raises(ListenError) as raised:
        parse_listen(text)
    assert cure in str(raised.value)
    assert "cannot listen on" in str(raised.value)


def test_a_port_in_use_is_named_with_what_to_do(taken: int) -> None:
    with pytest.raises(ListenError) as raised:
        bind(f"127.0.0.1:{taken}")
    text = str(raised.value)
    assert f"cannot listen on 127.0.0.1:{taken}: the port is in use" in text
    assert f"--listen 127.0.0.1:{taken + 1}" in text


def test_with_fallback_the_next_free_port_is_taken(taken: int) -> None:
    with contextlib.closing(bind(f"127.0.0.1:{taken}", fallback=True)) as sock:
        assert taken < sock.getsockname()[1] <= taken + 100


def test_fallback_gives_up_after_a_hundred_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def refuse(where: ListenAddress) -> socket.socket:
        tried.append(where.port)
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(server, "_open", refuse)
    with pytest.raises(ListenError, match="in use, and so are the ports up to 9221"):
        bind("127.0.0.1:9121", fallback=True)
    assert tried == list(range(9121, 9222))


def test_two_that_listen_on_the_same_port_do_not_both_succeed() -> None:
    """SO_REUSEADDR lets a restart have its port back at once; it must not let two daemons share it."""
    with contextlib.closing(bind("127.0.0.1:0")) as sock, pytest.raises(ListenError, match="in use"):
        bind(f"127.0.0.1:{sock.getsockname()[1]}")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ListenError, match="this machine has no such address"):
        bind("192.0.2.1:9121")


def test_a_name_that_does_not_resolve_is_refused() -> None:
    with pytest.raises(ListenError, match="does not resolve"):
        bind("nowhere.invalid:9121")


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.EACCES, "ports below 1024"), (errno.ENOBUFS, "No buffer space available")],
)
def test_other_failures_of_the_system_are_explained(monkeypatch: pytest.MonkeyPatch, number: int, text: str) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(number, "No buffer space available")

    monkeypatch.setattr(server, "_open", refuse)
    with pytest.raises(ListenError, match=text):
        bind("127.0.0.1:80")


@needs_ipv6
def test_without_a_host_both_families_are_served() -> None:
    with contextlib.closing(bind(":0")) as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


@needs_ipv6
def test_an_ipv6_address_is_served_alone() -> None:
    with contextlib.closing(bind("[::1]:0")) as sock:
        port = sock.getsockname()[1]
        socket.create_connection(("::1", port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_it_falls_back_to_ipv4(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Containers often have no IPv6 at all."""
    real = server._listening

    def only_ipv4(family: int, address: tuple[object, ...], *, dual: bool = False) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, "no IPv6 here")
        return real(family, ("127.0.0.1", 0), dual=dual)

    monkeypatch.setattr(server, "_listening", only_ipv4)
    with contextlib.closing(bind(":0")) as sock:
        assert sock.family == socket.AF_INET


def test_a_port_in_use_on_ipv6_is_not_dodged_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_use(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(server, "_listening", in_use)
    with pytest.raises(ListenError, match="in use"):
        bind(":9121")
