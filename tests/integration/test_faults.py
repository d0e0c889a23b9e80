"""Faults of real servers: what the daemon reports about each, and that it recovers by itself.

Every test asserts the reason of the failed pings, the state of the breaker, and the recovery. It also asserts that
every scheduled ping is counted exactly once.
"""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import (
    PROBE_INTERVAL,
    PROBE_TIMEOUT,
    Page,
    assert_no_new_failures,
    assert_reasons,
    opened_by,
    pending_pings,
)
from tests.integration.servers import RealServer
from tests.patience import Stopwatch

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]


def test_missing_server_is_refused_and_found_after_its_start(software: str, start_server: Start, watch: Watch) -> None:
    server = start_server(software, listen=False)
    daemon = watch(server)
    first = daemon.page()
    down = daemon.wait_for(lambda page: opened_by(page, "refused"))
    assert_reasons(down, "refused")
    assert down.has_failed("connect", "refused")
    assert daemon.json("/health")["status"] != "healthy"
    page_with_open_breaker = daemon.wait_for(lambda page: page.not_sent() >= 5)
    server.start()
    up = daemon.wait_until_up()
    assert_reasons(up, "refused")
    daemon.assert_every_ping_counted(first)
    transitions = {"from_state": "closed", "to_state": "open"}
    assert page_with_open_breaker.value("redis_circuit_breaker_transitions_total", **transitions) == 1
    assert up.sum("redis_circuit_breaker_open_seconds_total") > 0
    daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)


def test_killed_server_is_detected_within_one_ping_and_found_again(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    server.kill()
    since_kill = Stopwatch()
    daemon.wait_for(lambda page: page.up() == 0)
    assert since_kill.seconds < PROBE_INTERVAL + PROBE_TIMEOUT + 1
    opened = daemon.wait_for(lambda page: opened_by(page, "refused"))
    assert_reasons(opened, "reset", "refused")
    server.start()
    up = daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)
    later = daemon.wait_for(lambda page: page.operations() > up.operations() + 10)
    assert_no_new_failures(later, up)


def test_hung_server_never_delays_a_scrape(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    before = daemon.median_of_scrapes()
    server.freeze()
    since_freeze = Stopwatch()
    daemon.wait_for(lambda page: page.up() == 0)
    assert since_freeze.seconds < PROBE_INTERVAL + PROBE_TIMEOUT + 1
    assert daemon.median_of_scrapes() < 2 * before + 0.1
    opened = daemon.wait_for(lambda page: opened_by(page, "timeout"))
    assert_reasons(opened, "timeout")
    # A timeout is observed with the time of its deadline, so the histogram contains it.
    slow = opened.sum("redis_operation_duration_seconds_count", operation="ping") - opened.sum(
        "redis_operation_duration_seconds_bucket", operation="ping", le="0.25"
    )
    assert slow >= opened.failures("ping", "timeout")
    # Samples from before the hang are not served after their maximum age.
    daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is None)
    server.thaw()
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)
    daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)


def test_pings_in_flight_on_a_lost_connection_have_an_outcome(start_server: Start, start_daemon: Any) -> None:
    server = start_server()
    probe = {"interval": PROBE_INTERVAL, "timeout": "30s"}
    daemon = start_daemon(config={"probe": probe, "targets": [{"name": "it", "url": server.url}]})
    first = daemon.wait_until_up()
    server.freeze()
    hung = daemon.wait_for(lambda page: pending_pings(page) >= 8)
    server.kill()
    dead = daemon.wait_for(lambda page: page.up() == 0)
    assert dead.failures("ping", "reset") >= pending_pings(hung)
    server.start()
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)


def test_stall_is_a_slow_sample_for_each_ping_during_it(start_server: Start, start_daemon: Any) -> None:
    """The probe is an open loop. So a stall of 2 s at 10 pings a second is twenty samples, from 2.0 s to 0.1 s."""
    server = start_server()
    probe = {"interval": "100ms", "timeout": "5s"}
    daemon = start_daemon(config={"probe": probe, "targets": [{"name": "it", "url": server.url}]})

    def slower_than(page: Page, edge: str) -> float:
        count = page.sum("redis_operation_duration_seconds_count", operation="ping")
        return count - page.sum("redis_operation_duration_seconds_bucket", operation="ping", le=edge)

    before = daemon.wait_until_up()
    server.freeze()
    began = time.monotonic()
    stopwatch = Stopwatch()
    daemon.wait_for(lambda page: page.requested_at - began >= 2)
    server.thaw()
    stalled = time.monotonic() - began
    after = daemon.wait_for(lambda page: slower_than(page, "1.0") - slower_than(before, "1.0") >= 9)
    slow = slower_than(after, "0.25") - slower_than(before, "0.25")
    delayed = stopwatch.delay / PROBE_INTERVAL  # pings that a busy machine made slow
    assert -3 <= slow - (stalled - 0.25) / PROBE_INTERVAL <= 3 + delayed, (
        f"{slow} slow samples for a stall of {stalled:.2f} s"
    )
    assert_no_new_failures(after, before)
    assert after.breaker() == "closed"


def test_full_server_has_the_reason_maxclients(
    software: str, start_server: Start, watch: Watch, stack: ExitStack
) -> None:
    server = start_server(software, maxclients="10")
    server.run("PING")
    others = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))]
    while ping_reply(others[-1]) == b"+PONG\r\n":
        others.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5)))
    daemon = watch(server)
    first = daemon.page()
    full = daemon.wait_for(lambda page: opened_by(page, "maxclients"))
    assert_reasons(full, "maxclients")
    assert full.failures("connect", "maxclients") + full.failures("ping", "maxclients") > 0
    for other in others:
        other.close()
    up = daemon.wait_until_up()
    assert_reasons(up, "maxclients")
    daemon.assert_every_ping_counted(first)


def ping_reply(connection: socket.socket) -> bytes:
    """Send PING, and return the reply. A full server replies with an error and closes the connection."""
    try:
        connection.sendall(b"PING\r\n")
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_server_that_loads_its_data_has_the_reason_loading(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    server.fill(2000)
    server.kill()
    # The server needs a millisecond for each key. Between keys it replies that it is loading.
    server.config |= {"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"}
    server.start()
    loading = daemon.wait_for(lambda page: opened_by(page, "loading"))
    assert_reasons(loading, "loading", "reset", "refused")
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)


def test_server_blocked_by_a_script_has_the_reason_busy(server: RealServer, watch: Watch) -> None:
    server.run("CONFIG", "SET", "lua-time-limit", "50")
    daemon = watch(server)
    first = daemon.wait_until_up()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"EVAL 'while true do end' 0\r\n")
        busy = daemon.wait_for(lambda page: page.up() == 0 and page.failures("ping", "busy") > 0)
        assert_reasons(busy, "busy", "timeout")
        server.run("SCRIPT", "KILL")
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)


def test_hung_target_does_not_affect_the_others(start_server: Start, start_daemon: Any) -> None:
    bad, good = start_server(), start_server()
    targets = [{"name": "bad", "url": bad.url}, {"name": "good", "url": good.url}]
    daemon = start_daemon(config={"targets": targets})
    daemon.wait_until_up("bad")
    first = daemon.wait_until_up("good")
    bad.freeze()
    last = daemon.wait_for(lambda page: page.breaker("bad") == "open" and page.up("bad") == 0)
    last = daemon.wait_for(lambda page: page.operations(target="good") >= last.operations(target="good") + 20)
    for name in ("bad", "good"):
        daemon.assert_every_ping_counted(first, name)
    assert_no_new_failures(last, first, "good")
    assert (last.up("good"), last.breaker("good")) == (1, "closed")
