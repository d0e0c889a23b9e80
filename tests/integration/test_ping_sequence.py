"""PINGs carry numbers: what that shows of a server that loses answers, and that real servers do not mind."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.echo import EchoServer, matched
from tests.integration.probe_log import LoggedProbe, wait_for_log
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

#: Seconds. The answers take so long, and a reply taken for another's would be wrong by a whole interval.
DELAY, INTERVAL = 0.02, 0.1
PROBE = {"interval": "100ms", "timeout": "5s"}


@pytest.fixture
def echo(stack: ExitStack, tmp_path: Path) -> EchoServer:
    return stack.enter_context(EchoServer(tmp_path / "echo", delay=DELAY))


@pytest.fixture
def watched(echo: EchoServer, start_daemon: Callable[..., Daemon], tmp_path: Path) -> tuple[Daemon, Path]:
    """A daemon that watches the echo server, and its probe log."""
    log = tmp_path / "probe.csv"
    config = {"probe": PROBE, "targets": [{"name": "it", "url": echo.urls[0]}]}
    daemon = start_daemon("--probe-log", str(log), config=config)
    daemon.wait_until_up()
    return daemon, log


def test_an_answer_that_is_swallowed_is_a_failure_of_its_own_slot_and_no_other_is_touched(
    echo: EchoServer, watched: tuple[Daemon, Path]
) -> None:
    daemon, log = watched
    first = daemon.page()
    echo.do("drop", share=0.3, **{"for": 3.0})
    time.sleep(3)
    slots = wait_for_log(log, lambda slots: sum(slot.outcome == "success" for slot in slots[-10:]) == 10)
    pairs = matched(slots, echo.record())
    swallowed = [slot for slot, ping in pairs if ping.fate == "drop"]
    assert len(swallowed) >= 3
    assert {slot.reason for slot in swallowed} == {"protocol"}
    for slot, ping in pairs:
        if ping.left is not None:
            assert slot.outcome == "success", slot
            assert slot.seconds - (ping.left - ping.arrived) / 1e9 < INTERVAL / 2, "the answer to another ping"
    page = daemon.page()
    assert page.failures("ping", "protocol") == len(swallowed)
    assert set(page.reasons()) <= {*first.reasons(), "protocol", "skipped"}
    assert page.breaker() == "closed"
    assert len({ping.connection for _, ping in pairs}) == 1, "no reason to connect anew"
    daemon.assert_every_slot_counted(first)


def test_an_answer_that_comes_twice_ends_the_connection_and_every_slot_is_counted(
    echo: EchoServer, watched: tuple[Daemon, Path]
) -> None:
    daemon, log = watched
    first = daemon.page()
    echo.do("twice", share=0.3, **{"for": 2.0})
    time.sleep(2)
    page = daemon.wait_for(lambda page: page.up() == 1 and page.slots() > first.slots() + 30)
    assert set(page.reasons()) <= {"protocol", "skipped"}
    daemon.assert_every_slot_counted(first)
    assert echo.counters()["connections"] > 3

    def done(slots: list[LoggedProbe]) -> bool:
        return sum(slot.outcome == "success" for slot in slots) >= page.slots() - page.failures("ping") - 1

    answered = [slot for slot in wait_for_log(log, done) if slot.outcome == "success"]
    assert max(slot.seconds for slot in answered) < DELAY + INTERVAL / 2


def test_one_answer_of_a_real_server_that_a_proxy_loses_is_one_failure(
    stack: ExitStack, start_server: Callable[..., RealServer], start_daemon: Callable[..., Any], tmp_path: Path
) -> None:
    """Else every later ping would be taken to have waited for an interval."""
    log = tmp_path / "probe.csv"
    proxy = stack.enter_context(Proxy(start_server().port, free_port()))
    config = {"probe": PROBE, "poll": {"interval": "60s"}}
    target = {"name": "it", "url": f"redis://127.0.0.1:{proxy.port}"}
    daemon = start_daemon("--probe-log", str(log), config={**config, "targets": [target]})
    daemon.wait_until_up()
    first = daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)
    accepted = proxy.accepted
    proxy.swallow = 1
    lost = time.time_ns()
    last = daemon.wait_for(lambda page: page.slots() > first.slots() + 20)
    assert (proxy.swallow, proxy.accepted) == (0, accepted)
    assert last.failures("ping", "protocol") == 1
    slots = wait_for_log(log, lambda slots: sum(slot.due > lost for slot in slots) >= 15)
    after = sorted(slot.seconds for slot in slots if slot.due > lost and slot.outcome == "success")
    assert after[len(after) // 2] < INTERVAL / 2
    daemon.assert_every_slot_counted(first)


#: What the names of our connections take.
NAMED = ("+client",)


def test_a_real_server_counts_numbered_pings_as_pings_and_a_user_needs_no_more_for_them(
    server: RealServer, start_daemon: Callable[..., Any]
) -> None:
    server.run("ACL", "SETUSER", "exporter", "reset", "on", ">hunter2", "+ping", "+info", *NAMED)
    target = {"name": "it", "url": f"redis://exporter:hunter2@127.0.0.1:{server.port}"}
    daemon = start_daemon(config={"probe": PROBE, "collectors": ["info"], "targets": [target]})
    first = daemon.wait_until_up()
    page = daemon.wait_for(lambda page: page.slots() > first.slots() + 10)
    ping = server.admin.info("commandstats")["cmdstat_ping"]
    assert ping["calls"] >= page.slots() - page.failures("ping") - 1
    assert (ping.get("failed_calls", 0), ping.get("rejected_calls", 0)) == (0, 0)
    assert set(page.reasons()) <= {"skipped"}, "a busy machine"
    assert server.run("ACL", "LOG") == []
