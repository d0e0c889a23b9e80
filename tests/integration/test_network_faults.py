"""What a bad network does to a connection, by a proxy between the daemon and a real server."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

Way = tuple[Proxy, Daemon, Page]


@pytest.fixture
def way(stack: ExitStack, start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]) -> Way:
    """A healthy server behind a proxy, watched through it, and the first page that said so."""
    server = start_server()
    proxy = stack.enter_context(Proxy(server.port, free_port()))
    daemon = start_daemon(config={"targets": [{"name": "it", "url": f"redis://127.0.0.1:{proxy.port}"}]})
    return proxy, daemon, daemon.wait_until_up()


def failed_for(*reasons: str) -> Callable[[Page], Any]:
    return lambda page: page.up() == 0 and any(page.failures("ping", reason) for reason in reasons)


def test_answers_slower_than_the_deadline_are_timeouts_and_late_replies_do_no_harm(way: Way) -> None:
    proxy, daemon, first = way
    proxy.delay = 0.5
    slow = daemon.wait_for(failed_for("timeout"))
    assert set(slow.reasons()) <= {"timeout"}
    proxy.delay = 0
    up = daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)
    later = daemon.wait_for(lambda page: page.slots() > up.slots() + 10)
    assert (later.up(), later.reasons()) == (1, up.reasons())


def test_answers_slower_but_in_time_are_slow_successes(way: Way) -> None:
    proxy, daemon, first = way
    proxy.delay = 0.15
    later = daemon.wait_for(lambda page: page.slots() > first.slots() + 20)
    slow = later.sum("redis_operation_duration_seconds_count", operation="ping") - later.sum(
        "redis_operation_duration_seconds_bucket", operation="ping", le="0.1"
    )
    assert slow >= 10
    assert (later.up(), later.breaker(), later.reasons()) == (1, "closed", {})
    proxy.delay = 0
    daemon.assert_every_slot_counted(first)


def test_a_network_that_swallows_everything_is_a_timeout(way: Way) -> None:
    proxy, daemon, first = way
    proxy.stalled = True
    dark = daemon.wait_for(lambda page: failed_for("timeout")(page) and page.breaker() == "open")
    assert set(dark.reasons()) <= {"timeout"}
    proxy.stalled = False
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)


def test_a_reset_connection_is_made_anew(way: Way) -> None:
    proxy, daemon, first = way
    accepted = proxy.accepted
    proxy.reset()
    up = daemon.wait_for(lambda page: proxy.accepted > accepted and page.up() == 1 and page.slots() > first.slots() + 5)
    assert set(up.reasons()) <= {"reset"}
    daemon.assert_every_slot_counted(first)


def test_a_connection_that_is_reset_again_and_again_is_down(way: Way) -> None:
    proxy, daemon, first = way
    proxy.refusing = True
    proxy.reset()
    down = daemon.wait_for(lambda page: failed_for("reset")(page) and page.breaker() == "open")
    assert set(down.reasons()) <= {"reset"}
    proxy.refusing = False
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)


def test_a_half_closed_connection_is_given_up_and_made_anew(way: Way) -> None:
    proxy, daemon, first = way
    accepted = proxy.accepted
    proxy.half_close()
    up = daemon.wait_for(lambda page: proxy.accepted > accepted and page.up() == 1 and page.slots() > first.slots() + 5)
    assert set(up.reasons()) <= {"reset"}
    daemon.assert_every_slot_counted(first)


def test_a_truncated_answer_is_no_answer(way: Way) -> None:
    proxy, daemon, first = way
    proxy.truncate = 3
    down = daemon.wait_for(lambda page: failed_for("reset", "protocol")(page) and page.breaker() == "open")
    assert set(down.reasons()) <= {"reset", "protocol"}
    assert down.value("redis_collector_success", collector="info") is not None
    proxy.truncate = None
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)
    daemon.wait_for(lambda page: page.value("redis_collector_success", collector="info") == 1)
