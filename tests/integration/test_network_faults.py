"""Effects of a bad network on a connection, simulated by a proxy between the daemon and a real server."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ProxiedDaemon = tuple[Proxy, Daemon, Page]


@pytest.fixture
def proxied(
    stack: ExitStack, start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]
) -> ProxiedDaemon:
    """Return a proxy before a healthy server, its daemon, and the first page that shows the server up."""
    server = start_server()
    proxy = stack.enter_context(Proxy(server.port, free_port()))
    daemon = start_daemon(config={"targets": [{"name": "it", "url": f"redis://127.0.0.1:{proxy.port}"}]})
    return proxy, daemon, daemon.wait_until_up()


def failed_for(*reasons: str) -> Callable[[Page], Any]:
    return lambda page: page.up() == 0 and any(page.failures("ping", reason) for reason in reasons)


def test_replies_after_deadline_are_timeouts_and_do_no_harm(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    proxy.delay = 0.5
    slow = daemon.wait_for(failed_for("timeout"))
    assert set(slow.reasons()) <= {"timeout"}
    proxy.delay = 0
    up = daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)
    later = daemon.wait_for(lambda page: page.operations() > up.operations() + 10)
    assert (later.up(), later.reasons()) == (1, up.reasons())


def test_slow_replies_before_deadline_are_successes(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    proxy.delay = 0.15
    later = daemon.wait_for(lambda page: page.operations() > first.operations() + 20)
    slow = later.sum("redis_operation_duration_seconds_count", operation="ping") - later.sum(
        "redis_operation_duration_seconds_bucket", operation="ping", le="0.1"
    )
    assert slow >= 10
    assert (later.up(), later.breaker(), later.reasons()) == (1, "closed", {})
    proxy.delay = 0
    daemon.assert_every_ping_counted(first)


def test_network_that_drops_everything_is_timeout(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    proxy.stalled = True
    dark = daemon.wait_for(lambda page: failed_for("timeout")(page) and page.breaker() == "open")
    assert set(dark.reasons()) <= {"timeout"}
    proxy.stalled = False
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)


def test_reset_connection_is_replaced(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    accepted = proxy.accepted
    proxy.reset()
    up = daemon.wait_for(
        lambda page: proxy.accepted > accepted and page.up() == 1 and page.operations() > first.operations() + 5
    )
    assert set(up.reasons()) <= {"reset"}
    daemon.assert_every_ping_counted(first)


def test_repeated_resets_mean_down(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    proxy.refusing = True
    proxy.reset()
    down = daemon.wait_for(lambda page: failed_for("reset")(page) and page.breaker() == "open")
    assert set(down.reasons()) <= {"reset"}
    proxy.refusing = False
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)


def test_half_closed_connection_is_replaced(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    accepted = proxy.accepted
    proxy.half_close()
    up = daemon.wait_for(
        lambda page: proxy.accepted > accepted and page.up() == 1 and page.operations() > first.operations() + 5
    )
    assert set(up.reasons()) <= {"reset"}
    daemon.assert_every_ping_counted(first)


def test_truncated_reply_is_a_failure(proxied: ProxiedDaemon) -> None:
    proxy, daemon, first = proxied
    proxy.truncate_at = 3
    down = daemon.wait_for(lambda page: failed_for("reset", "protocol")(page) and page.breaker() == "open")
    assert set(down.reasons()) <= {"reset", "protocol"}
    assert down.value("redis_collector_success", collector="info") is not None
    proxy.truncate_at = None
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)
    daemon.wait_for(lambda page: page.value("redis_collector_success", collector="info") == 1)
