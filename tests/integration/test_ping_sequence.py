"""PINGs carry numbers. That shows the replies which a server loses, and real servers accept it."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.echo import EchoServer, match_pings
from tests.integration.probe_log import LoggedProbe, wait_for_log
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Seconds that a reply takes. A reply that is taken for another one would be wrong by a whole interval.
DELAY, INTERVAL = 0.02, 0.1
PROBE = {"interval": "100ms", "timeout": "5s"}


@pytest.fixture
def echo(stack: ExitStack, tmp_path: Path) -> EchoServer:
    return stack.enter_context(EchoServer(tmp_path / "echo", delay=DELAY))


@pytest.fixture
def watched(echo: EchoServer, start_daemon: Callable[..., Daemon], tmp_path: Path) -> tuple[Daemon, Path]:
    """A daemon that monitors the echo server, and its probe log."""
    log = tmp_path / "probe.csv"
    config = {"probe": PROBE, "targets": [{"name": "it", "url": echo.urls[0]}]}
    daemon = start_daemon("--probe-log", str(log), config=config)
    daemon.wait_until_up()
    return daemon, log


def test_swallowed_reply_fails_its_own_probe_and_no_other(echo: EchoServer, watched: tuple[Daemon, Path]) -> None:
    daemon, log = watched
    first = daemon.page()
    echo.do("drop", share=0.3, **{"for": 3.0})
    time.sleep(3)
    probes = wait_for_log(log, lambda probes: sum(probe.outcome == "success" for probe in probes[-10:]) == 10)
    pairs = match_pings(probes, echo.record())
    swallowed = [probe for probe, ping in pairs if ping.fate == "drop"]
    assert len(swallowed) >= 3
    assert {probe.reason for probe in swallowed} == {"protocol"}
    for probe, ping in pairs:
        if ping.left is not None:
            assert probe.outcome == "success", probe
            assert probe.seconds - (ping.left - ping.arrived) / 1e9 < INTERVAL / 2, "the reply to another ping"
    page = daemon.page()
    assert page.failures("ping", "protocol") == len(swallowed)
    assert set(page.reasons()) <= {*first.reasons(), "protocol", "skipped"}
    assert page.breaker() == "closed"
    assert len({ping.connection for _, ping in pairs}) == 1, "no reason to reconnect"
    daemon.assert_every_ping_counted(first)


def test_duplicate_reply_ends_the_connection_and_all_pings_are_counted(
    echo: EchoServer, watched: tuple[Daemon, Path]
) -> None:
    daemon, log = watched
    first = daemon.page()
    echo.do("twice", share=0.3, **{"for": 2.0})
    time.sleep(2)
    page = daemon.wait_for(lambda page: page.up() == 1 and page.operations() > first.operations() + 30)
    assert set(page.reasons()) <= {"protocol", "skipped"}
    daemon.assert_every_ping_counted(first)
    assert echo.counters()["connections"] > 3

    def done(probes: list[LoggedProbe]) -> bool:
        return sum(probe.outcome == "success" for probe in probes) >= page.operations() - page.failures("ping") - 1

    answered = [probe for probe in wait_for_log(log, done) if probe.outcome == "success"]
    assert max(probe.seconds for probe in answered) < DELAY + INTERVAL / 2


def test_reply_of_a_real_server_that_a_proxy_loses_is_one_failure(
    stack: ExitStack, start_server: Callable[..., RealServer], start_daemon: Callable[..., Any], tmp_path: Path
) -> None:
    """Without numbers, every later ping would seem to wait for a whole interval."""
    log = tmp_path / "probe.csv"
    proxy = stack.enter_context(Proxy(start_server().port, free_port()))
    # Without stalls, the proxy passes on nothing but pings.
    config = {"probe": PROBE, "poll": {"interval": "60s"}, "stalls": {"enabled": False}}
    target = {"name": "it", "url": f"redis://127.0.0.1:{proxy.port}"}
    daemon = start_daemon("--probe-log", str(log), config={**config, "targets": [target]})
    daemon.wait_until_up()
    first = daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)
    accepted = proxy.accepted
    proxy.chunks_to_drop = 1
    lost = time.time_ns()
    last = daemon.wait_for(lambda page: page.operations() > first.operations() + 20)
    assert (proxy.chunks_to_drop, proxy.accepted) == (0, accepted)
    assert last.failures("ping", "protocol") == 1
    probes = wait_for_log(log, lambda probes: sum(probe.due > lost for probe in probes) >= 15)
    after = sorted(probe.seconds for probe in probes if probe.due > lost and probe.outcome == "success")
    assert after[len(after) // 2] < INTERVAL / 2
    daemon.assert_every_ping_counted(first)


#: The permission that naming the exporter's connections needs.
NAMING = ("+client",)


def test_numbered_ping_is_a_ping_and_needs_no_further_permission(
    server: RealServer, start_daemon: Callable[..., Any]
) -> None:
    server.run("ACL", "SETUSER", "exporter", "reset", "on", ">hunter2", "+ping", "+info", *NAMING)
    target = {"name": "it", "url": f"redis://exporter:hunter2@127.0.0.1:{server.port}"}
    # Stalls read the slow log too, which this user may not.
    config = {"probe": PROBE, "collectors": ["info"], "stalls": {"enabled": False}, "targets": [target]}
    daemon = start_daemon(config=config)
    first = daemon.wait_until_up()
    page = daemon.wait_for(lambda page: page.operations() > first.operations() + 10)
    ping = server.admin.info("commandstats")["cmdstat_ping"]
    assert ping["calls"] >= page.operations() - page.failures("ping") - 1
    assert (ping.get("failed_calls", 0), ping.get("rejected_calls", 0)) == (0, 0)
    assert set(page.reasons()) <= {"skipped"}, "a busy machine"
    assert server.run("ACL", "LOG") == []
