"""Which client is closed when there are too many, and how many there may be."""

import pytest

from redis_pulse import file_descriptors
from redis_pulse.web.connection_accounting import (
    MIN_CLIENTS,
    SHORTAGE_SECONDS,
    Client,
    ClientLimits,
    ConnectionAccounting,
    address_key,
)
from tests.fakes import ManualClock


class Port:
    """Adds clients, and records the names of the closed ones."""

    def __init__(self, limits: ClientLimits) -> None:
        self.clock = ManualClock()
        self.closed: list[str] = []
        self.counted = 0
        self.accounting = ConnectionAccounting(limits, self.clock, on_closed=self._count)

    def _count(self) -> None:
        self.counted += 1

    def add(self, name: str, host: str = "10.0.0.1") -> Client:
        self.clock.advance(1)
        return self.accounting.add(host, lambda: self.closed.append(name))


@pytest.fixture(autouse=True)
def _descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_descriptors, "limit", lambda: 4096)


def test_oldest_waiting_client_of_the_same_address_is_closed() -> None:
    port = Port(ClientLimits(per_address=2))
    port.add("other", "10.0.0.2")
    busy = port.add("busy")
    busy.works()
    port.add("waiting")
    port.add("new")
    assert port.closed == ["waiting"]
    assert port.counted == 1
    assert len(port.accounting) == 3


def test_client_that_became_idle_last_stays_longest() -> None:
    port = Port(ClientLimits(per_address=2))
    first = port.add("first")
    port.add("second")
    first.works()
    port.clock.advance(5)
    first.waits()
    port.add("third")
    assert port.closed == ["second"]


def test_slow_request_head_does_not_make_a_client_younger() -> None:
    port = Port(ClientLimits(per_address=2))
    slow = port.add("slow")
    port.add("second")
    for _ in range(5):
        port.clock.advance(1)
        slow.waits()
    port.add("third")
    assert port.closed == ["slow"]


def test_stalled_client_is_closed_before_a_busy_one() -> None:
    port = Port(ClientLimits(per_address=2))
    port.add("busy").works()
    port.add("stalled").stalls()
    port.add("new").works()
    port.add("newest")
    assert port.closed == ["stalled", "busy"]


def test_total_limit_closes_the_same_address_first() -> None:
    port = Port(ClientLimits(total=3))
    for number in range(3):
        port.add(f"client {number}", f"10.0.0.{number}")
    port.add("again", "10.0.0.1")
    assert port.closed == ["client 1"]
    port.add("new", "10.0.0.9")
    assert port.closed == ["client 1", "client 0"]


def test_client_that_left_is_forgotten() -> None:
    port = Port(ClientLimits(per_address=1))
    client = port.add("first")
    client.left()
    client.left()
    port.add("second")
    assert port.closed == []
    assert len(port.accounting) == 1


def test_client_with_an_unread_request_is_not_closed() -> None:
    """If many clients connect at once, they are accepted before the first of them is read."""
    port = Port(ClientLimits(per_address=2))
    port.add("scraper").has_unread_bytes = lambda: True
    port.add("silent")
    port.add("new").has_unread_bytes = lambda: True
    assert port.closed == ["silent"]
    port.add("newest")
    assert port.closed == ["silent", "scraper"], "if all have sent something, it is the oldest one"


def test_one_address_has_at_most_half_of_the_clients() -> None:
    port = Port(ClientLimits(total=20, per_address=20))
    for number in range(15):
        port.add(str(number))
    assert len(port.accounting) == 10


def test_few_descriptors_mean_few_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    accounting = Port(ClientLimits(total=512)).accounting
    limits = {4096: 512, 1024: 256, 40: MIN_CLIENTS, None: 512}
    for descriptors, clients in limits.items():
        monkeypatch.setattr(file_descriptors, "limit", lambda descriptors=descriptors: descriptors)
        assert accounting.max_clients() == clients


def test_lack_of_descriptors_closes_half_of_the_clients_and_keeps_it_so() -> None:
    """An attacker connects again at once. The targets must get the descriptors nevertheless."""
    port = Port(ClientLimits(total=200))
    for number in range(100):
        port.add(str(number), f"10.0.{number}.1")
    port.accounting.close_half()
    assert port.closed == [str(number) for number in range(50)]
    for number in range(100, 130):
        port.add(str(number), f"10.0.{number}.1")
    assert len(port.accounting) == 50
    port.accounting.close_half()
    port.accounting.close_half()
    assert len(port.accounting) == MIN_CLIENTS
    port.clock.advance(SHORTAGE_SECONDS)
    for number in range(330):
        port.add(str(number), f"10.1.{number % 256}.{number // 256}")
    assert len(port.accounting) == 200


def test_page_of_several_clients_counts_once() -> None:
    port = Port(ClientLimits(page_bytes=100))
    page = bytes(80)
    first, second = port.add("first"), port.add("second")
    for client in (first, second):
        client.holds(page)
        client.stalls()
    assert port.accounting.page_bytes == 80
    first.holds(None)
    assert port.accounting.page_bytes == 80
    second.left()
    assert port.accounting.page_bytes == 0
    assert port.closed == []


def test_too_many_bytes_of_pages_close_the_longest_stalled_client() -> None:
    port = Port(ClientLimits(page_bytes=100))
    fetching = port.add("fetching")
    fetching.works()
    fetching.holds(bytes(40))
    for name in ("a", "b"):
        client = port.add(name)
        client.holds(bytes(30))
        client.stalls()
    assert port.accounting.page_bytes == 100
    port.add("new").holds(bytes(20))
    assert port.closed == ["a"]
    port.add("newer").holds(bytes(21))
    assert port.closed == ["a", "b"]
    port.add("newest").holds(bytes(21))
    assert port.closed == ["a", "b"], "a client that fetches its page keeps it"


def test_three_large_pages_can_be_fetched_at_once() -> None:
    port = Port(ClientLimits(page_bytes=100))
    for number in range(3):
        client = port.add(str(number))
        client.holds(bytes(bytearray(500)))
        client.stalls()
    assert port.closed == []
    port.add("new").holds(bytes(500))
    assert port.closed == ["0"]


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_one_address_is_a_whole_network_of_ipv6(host: str, key: str) -> None:
    assert address_key(host) == key
