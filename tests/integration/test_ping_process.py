"""Pings in a process of their own: each is counted once, also if the process or the server fails."""

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.echo import EchoServer, match_pings
from tests.integration.pages import Page
from tests.integration.probe_log import wait_for_log
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., Any]
PROBE = {"interval": "100ms", "timeout": "1s", "process": True}


def is_lent(page: Page, count: int = 1) -> bool:
    return page.value("redis_exporter_ping_process_targets") == count


def pinger(daemon: Daemon) -> int:
    """Return the id of the process with the pings."""
    (pid,) = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    return int(pid)


def assert_balanced(daemon: Daemon) -> None:
    page = daemon.page()
    assert page.value("redis_exporter_accounting_errors_total") == 0
    assert "Traceback" not in daemon.log


def test_pings_leave_on_the_grid_while_the_daemon_is_blocked(start_daemon: Start, tmp_path: Path) -> None:
    log = tmp_path / "probe.csv"
    with EchoServer(tmp_path, 3) as server:
        targets = [{"name": f"t{number}", "url": url} for number, url in enumerate(server.urls)]
        daemon = start_daemon(
            "--probe-log", str(log), config={"probe": PROBE, "targets": targets},
            module="tests.integration.blocked_daemon",
        )  # fmt: skip
        daemon.wait_for(lambda page: is_lent(page, 3))
        began = time.time_ns()
        time.sleep(3)
        ended = time.time_ns()
        probes = wait_for_log(log, lambda probes: max(probe.due for probe in probes) > ended)
        pings = server.record()
    inside = [probe for probe in probes if began <= probe.due < ended]
    assert 80 <= len(inside) <= 100
    assert {probe.outcome for probe in inside} == {"success"}
    assert {probe.clock for probe in inside} == {"kernel"}
    pairs = match_pings(probes, pings)
    assert len(pairs) == len([probe for probe in probes if probe.sent])
    for target in targets:
        due = sorted(probe.due for probe in probes if probe.target == target["name"])
        steps = [after - before for before, after in pairwise(due)]
        assert all(abs(step - 100_000_000) < 2_000_000 for step in steps), steps
    assert_balanced(daemon)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_process_that_is_lost_is_replaced_and_the_target_stays_up(
    fault: signal.Signals, start_server: Start, start_daemon: Start
) -> None:
    server = start_server("redis")
    daemon = start_daemon(config={"probe": PROBE, "targets": [{"name": "it", "url": server.url}]})
    first = daemon.wait_for(is_lent)
    lost = pinger(daemon)
    os.kill(lost, fault)
    restarted = daemon.wait_for(
        lambda page: page.value("redis_exporter_ping_process_restarts_total") == 1 and is_lent(page), 30
    )
    assert pinger(daemon) != lost
    assert not Path(f"/proc/{lost}").exists()
    assert restarted.up("it") == 1
    last = daemon.page()
    assert set(last.reasons("ping", "it")) <= {"skipped"}
    elapsed = last.requested_at - first.received_at
    assert last.operations("ping", "it") - first.operations("ping", "it") >= elapsed / 0.1 - 10
    assert_balanced(daemon)


def test_server_that_dies_and_returns_is_noticed_at_once(start_server: Start, start_daemon: Start) -> None:
    server: RealServer = start_server("redis")
    daemon = start_daemon(config={"probe": PROBE, "targets": [{"name": "it", "url": server.url}]})
    daemon.wait_for(is_lent)
    server.kill()
    page = daemon.wait_for(lambda page: page.up("it") == 0 and is_lent(page, 0))
    assert set(page.reasons("ping", "it")) <= {"reset", "refused"}, page.reasons("ping", "it")
    server.start()
    daemon.wait_for(lambda page: page.up("it") == 1 and is_lent(page))
    assert_balanced(daemon)


def test_hung_server_times_out_at_its_deadlines_and_opens_the_breaker(start_server: Start, start_daemon: Start) -> None:
    server: RealServer = start_server("redis")
    daemon = start_daemon(config={"probe": PROBE, "targets": [{"name": "it", "url": server.url}]})
    daemon.wait_for(is_lent)
    server.freeze()
    page = daemon.wait_for(lambda page: page.reasons("ping", "it").get("timeout", 0) >= 5 and is_lent(page, 0))
    assert page.up("it") == 0
    daemon.wait_for(lambda page: page.value("redis_pings_not_sent_total", target="it") > 0)
    server.thaw()
    daemon.wait_for(lambda page: page.up("it") == 1 and is_lent(page))
    assert_balanced(daemon)


def test_moves_reloads_and_removals_lose_no_ping(start_server: Start, start_daemon: Start) -> None:
    servers = start_server("redis"), start_server("redis")

    def config(server: RealServer, **probe: Any) -> dict[str, Any]:
        targets = [{"name": "it", "url": server.url}, {"name": "fixed", "url": f"{servers[0].url}/1"}]
        return {"probe": {**PROBE, **probe}, "targets": targets}

    daemon = start_daemon(config=config(servers[0]))
    first = daemon.wait_for(lambda page: is_lent(page, 2))
    for number in range(1, 9):
        server = servers[number % 2]
        daemon.configure(config(server, timeout="2s" if number % 4 else "1s"))
        daemon.reload()
        daemon.wait_for(lambda page, server=server: server.address in page.text and is_lent(page, 2))
    last = daemon.page()
    for name in ("it", "fixed"):
        added = last.operations("ping", name) - first.operations("ping", name)
        earliest, latest = last.requested_at - first.received_at, last.received_at - first.requested_at
        assert earliest / 0.1 - 2 <= added <= latest / 0.1 + 2  # a batch of reports may be on its way
        assert set(last.reasons("ping", name)) <= {"skipped"}
    daemon.configure({"probe": PROBE, "targets": [{"name": "fixed", "url": f"{servers[0].url}/1"}]})
    daemon.reload()
    page = daemon.wait_for(lambda page: 'target="it"' not in page.text and is_lent(page))
    assert page.up("fixed") == 1
    assert_balanced(daemon)


def test_end_of_the_daemon_ends_the_process(start_server: Start, start_daemon: Start) -> None:
    server = start_server("redis")
    daemon = start_daemon(config={"probe": PROBE, "targets": [{"name": "it", "url": server.url}]})
    daemon.wait_for(is_lent)
    child = pinger(daemon)
    os.kill(child, signal.SIGINT)  # a terminal sends it to all processes
    time.sleep(0.3)
    assert is_lent(daemon.page())
    daemon.stop()
    assert not Path(f"/proc/{child}").exists()
    assert "event=stopped" in daemon.log


def test_process_gets_no_secret(start_server: Start, start_daemon: Start) -> None:
    server: RealServer = start_server("redis", requirepass="s3cret-of-test")
    target = {"name": "it", "url": server.url, "password": "s3cret-of-test"}
    daemon = start_daemon(config={"probe": PROBE, "targets": [target]}, env={"REDIS_PULSE_NOTE": "s3cret-of-test"})
    daemon.wait_for(is_lent)
    files = Path(f"/proc/{pinger(daemon)}")
    assert b"s3cret" not in (files / "cmdline").read_bytes() + (files / "environ").read_bytes()
    assert_balanced(daemon)
