"""Tests of the listening socket, and of the messages if it cannot be opened."""

import contextlib
import errno
import socket
from collections.abc import Iterator

import pytest

from redis_pulse.config import ListenAddress
from redis_pulse.web import ListenError, bind, server


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def port_in_use() -> Iterator[int]:
    """A port on which another socket listens already."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def test_invalid_address_is_refused_with_a_hint() -> None:
    with pytest.raises(ListenError) as raised:
        bind("localhost")
    assert str(raised.value).startswith("cannot listen on 'localhost': it must be an address and a port such as")


def test_port_in_use_is_refused_with_a_hint(port_in_use: int) -> None:
    with pytest.raises(ListenError) as raised:
        bind(f"127.0.0.1:{port_in_use}")
    text = str(raised.value)
    assert f"cannot listen on 127.0.0.1:{port_in_use}: the port is in use" in text
    assert f"--listen 127.0.0.1:{port_in_use + 1}" in text


def test_fallback_uses_the_next_free_port(port_in_use: int) -> None:
    with contextlib.closing(bind(f"127.0.0.1:{port_in_use}", fallback=True)) as sock:
        assert port_in_use < sock.getsockname()[1] <= port_in_use + 100


def test_fallback_fails_after_a_hundred_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def refuse(address: ListenAddress) -> socket.socket:
        tried.append(address.port)
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(server, "_open", refuse)
    with pytest.raises(ListenError, match="in use, and so are the ports up to 9221"):
        bind("127.0.0.1:9121", fallback=True)
    assert tried == list(range(9121, 9222))


def test_second_socket_on_the_same_port_is_refused() -> None:
    """SO_REUSEADDR lets a restarted daemon use its port at once. It must not let two daemons share the port."""
    with contextlib.closing(bind("127.0.0.1:0")) as sock, pytest.raises(ListenError, match="in use"):
        bind(f"127.0.0.1:{sock.getsockname()[1]}")


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ListenError, match="this machine has no such address"):
        bind("192.0.2.1:9121")


def test_unresolvable_host_is_refused() -> None:
    with pytest.raises(ListenError, match="does not resolve"):
        bind("nowhere.invalid:9121")


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.EACCES, "ports below 1024"), (errno.ENOBUFS, "No buffer space available")],
)
def test_other_errors_of_the_system_are_explained(monkeypatch: pytest.MonkeyPatch, number: int, text: str) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(number, "No buffer space available")

    monkeypatch.setattr(server, "_open", refuse)
    with pytest.raises(ListenError, match=text):
        bind("127.0.0.1:80")


@needs_ipv6
def test_address_without_host_serves_both_families() -> None:
    with contextlib.closing(bind(":0")) as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=30).close()


@needs_ipv6
def test_ipv6_address_serves_ipv6_only() -> None:
    with contextlib.closing(bind("[::1]:0")) as sock:
        port = sock.getsockname()[1]
        socket.create_connection(("::1", port), timeout=30).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=30)


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_machine_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Containers often have no IPv6 at all."""
    real_listen_on = server._listen_on

    def only_ipv4(family: int, address: tuple[object, ...], *, dual: bool = False) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, "no IPv6 here")
        return real_listen_on(family, ("127.0.0.1", 0), dual=dual)

    monkeypatch.setattr(server, "_listen_on", only_ipv4)
    with contextlib.closing(bind(":0")) as sock:
        assert sock.family == socket.AF_INET


def test_port_in_use_on_ipv6_does_not_fall_back_to_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_use(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(server, "_listen_on", in_use)
    with pytest.raises(ListenError, match="in use"):
        bind(":9121")
