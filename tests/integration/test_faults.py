"""Provoked on real servers: what the daemon says about each fault, and that it recovers by itself.

Every test asserts the reason of the failed slots, the state of the breaker, the recovery, and that every scheduled ping
was counted exactly once all the while.
"""

import socket
import statistics
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
    assert_reasons,
    open_slots,
    opened_by,
)
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]


def test_a_server_that_is_not_there_at_start_is_refused_and_found_when_it_comes(
    software: str, start_server: Start, watch: Watch
) -> None:
    server = start_server(software, listen=False)
    daemon = watch(server)
    first = daemon.page()
    down = daemon.wait_for(lambda page: opened_by(page, "refused"))
    assert_reasons(down, "refused")
    assert down.failures("connect", "refused") > 0
    assert daemon.json("/health")["status"] != "healthy"
    open_for_long = daemon.wait_for(lambda page: page.not_sent() >= 5)
    server.start()
    up = daemon.wait_until_up()
    assert_reasons(up, "refused")
    daemon.assert_every_slot_counted(first)
    assert open_for_long.value("redis_circuit_breaker_transitions_total", from_state="closed", to_state="open") == 1
    assert up.sum("redis_circuit_breaker_open_seconds_total") > 0
    daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)


def test_a_killed_server_is_seen_within_a_slot_and_found_again(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    server.kill()
    killed = time.monotonic()
    down = daemon.wait_for(lambda page: page.up() == 0)
    assert down.asked - killed < PROBE_INTERVAL + PROBE_TIMEOUT + 1
    opened = daemon.wait_for(lambda page: opened_by(page, "refused"))
    assert_reasons(opened, "reset", "refused")
    server.start()
    up = daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)
    later = daemon.wait_for(lambda page: page.slots() > up.slots() + 10)
    assert later.reasons() == up.reasons(), "failures went on after the recovery"


def test_a_hung_server_never_hangs_a_scrape(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    server.freeze()
    frozen = time.monotonic()
    down = daemon.wait_for(lambda page: page.up() == 0)
    assert down.asked - frozen < PROBE_INTERVAL + PROBE_TIMEOUT + 1
    scrapes = [daemon.page() for _ in range(15)]
    assert statistics.median(page.answered - page.asked for page in scrapes) < 0.1
    opened = daemon.wait_for(lambda page: opened_by(page, "timeout"))
    assert_reasons(opened, "timeout")
    # A timed out slot is observed at its deadline, so the tail shows in the histogram.
    slow = opened.sum("redis_operation_duration_seconds_count", operation="ping") - opened.sum(
        "redis_operation_duration_seconds_bucket", operation="ping", le="0.25"
    )
    assert slow >= opened.failures("ping", "timeout")
    # What the server said before it hung is not served for ever.
    daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is None)
    server.thaw()
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)
    daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)


def test_pings_under_way_when_a_connection_dies_have_an_outcome_too(start_server: Start, start_daemon: Any) -> None:
    server = start_server()
    patient = {"interval": PROBE_INTERVAL, "timeout": "30s"}
    daemon = start_daemon(config={"probe": patient, "targets": [{"name": "it", "url": server.url}]})
    first = daemon.wait_until_up()
    server.freeze()
    hung = daemon.wait_for(lambda page: open_slots(page) >= 8)
    server.kill()
    dead = daemon.wait_for(lambda page: page.up() == 0)
    assert dead.failures("ping", "reset") >= open_slots(hung)
    server.start()
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)


def test_a_stall_is_one_slow_sample_for_each_slot_that_fell_into_it(start_server: Start, start_daemon: Any) -> None:
    """Open loop: a stall of 2 s at 10 pings a second is twenty samples, from 2.0 s down to 0.1 s, not one."""
    server = start_server()
    patient = {"interval": "100ms", "timeout": "5s"}
    daemon = start_daemon(config={"probe": patient, "targets": [{"name": "it", "url": server.url}]})

    def slower_than(page: Page, edge: str) -> float:
        count = page.sum("redis_operation_duration_seconds_count", operation="ping")
        return count - page.sum("redis_operation_duration_seconds_bucket", operation="ping", le=edge)

    before = daemon.wait_until_up()
    server.freeze()
    began = time.monotonic()
    daemon.wait_for(lambda page: page.asked - began >= 2)
    server.thaw()
    stalled = time.monotonic() - began
    after = daemon.wait_for(lambda page: slower_than(page, "1.0") - slower_than(before, "1.0") >= 9)
    slow = slower_than(after, "0.25") - slower_than(before, "0.25")
    assert abs(slow - (stalled - 0.25) / PROBE_INTERVAL) <= 3, f"{slow} slow samples from a stall of {stalled:.2f} s"
    assert after.reasons() == before.reasons()
    assert after.breaker() == "closed"


def test_a_full_server_says_maxclients(software: str, start_server: Start, watch: Watch, stack: ExitStack) -> None:
    server = start_server(software, maxclients="10")
    server.run("PING")
    others = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))]
    while answer(others[-1]) == b"+PONG\r\n":
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
    daemon.assert_every_slot_counted(first)


def answer(connection: socket.socket) -> bytes:
    """Ping by hand; what a full server answers and then closes."""
    try:
        connection.sendall(b"PING\r\n")
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_a_server_that_loads_its_data_says_loading(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    server.fill(2000)
    server.kill()
    # A millisecond for each key; in between the server answers, and says that it is loading.
    server.config |= {"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"}
    server.start()
    loading = daemon.wait_for(lambda page: opened_by(page, "loading"))
    assert_reasons(loading, "loading", "reset", "refused")
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)


def test_a_script_that_blocks_the_server_is_busy(server: RealServer, watch: Watch) -> None:
    server.run("CONFIG", "SET", "lua-time-limit", "50")
    daemon = watch(server)
    first = daemon.wait_until_up()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as guest:
        guest.sendall(b"EVAL 'while true do end' 0\r\n")
        busy = daemon.wait_for(lambda page: page.up() == 0 and page.failures("ping", "busy") > 0)
        assert_reasons(busy, "busy", "timeout")
        server.run("SCRIPT", "KILL")
    daemon.wait_until_up()
    daemon.assert_every_slot_counted(first)


def test_one_target_that_hangs_does_not_touch_the_others(start_server: Start, start_daemon: Any) -> None:
    bad, good = start_server(), start_server()
    targets = [{"name": "bad", "url": bad.url}, {"name": "good", "url": good.url}]
    daemon = start_daemon(config={"targets": targets})
    daemon.wait_until_up("bad")
    first = daemon.wait_until_up("good")
    bad.freeze()
    last = daemon.wait_for(lambda page: page.breaker("bad") == "open" and page.up("bad") == 0)
    last = daemon.wait_for(lambda page: page.slots(target="good") >= last.slots(target="good") + 20)
    for name in ("bad", "good"):
        daemon.assert_every_slot_counted(first, name)
    assert last.reasons(target="good") == first.reasons(target="good")
    assert (last.up("good"), last.breaker("good")) == (1, "closed")
