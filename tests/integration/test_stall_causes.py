"""Stalls of real servers get a cause that is right, or the cause ``unknown``."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import ALL, RealServer
from tests.patience import Patience, Stopwatch

pytestmark = [pytest.mark.integration, pytest.mark.slow]

QUIET = 10.0
STALL = 1.3
#: Seconds for the end of a stall, its enquiry and its record.
PATIENCE = 12.0


def sleep_in_a_command(server: RealServer) -> None:
    server.admin.execute_command("DEBUG", "SLEEP", str(STALL))


def stop_the_process(server: RealServer) -> None:
    server.freeze()
    time.sleep(STALL)
    server.thaw()


def pause_clients(server: RealServer) -> None:
    server.admin.execute_command("CLIENT", "PAUSE", str(round(STALL * 1000)), "ALL")
    time.sleep(STALL)


@pytest.fixture(params=ALL)
def watched(
    request: pytest.FixtureRequest, start_daemon: Callable[..., Daemon], stack: ExitStack, tmp_path: Path
) -> tuple[RealServer, Daemon]:
    server = stack.enter_context(RealServer(tmp_path / "server", request.param, enable_debug_command="yes"))
    daemon = start_daemon(
        config={
            "probe": {"interval": "200ms", "timeout": "1s"},
            "stalls": {"enabled": True, "threshold": "500ms"},  # a busy machine delays a server for less
            "targets": [{"name": "it", "url": server.url}],
        }
    )
    daemon.wait_until_up()
    time.sleep(3)  # snapshots from before
    return server, daemon


def wait_for_record(daemon: Daemon, number: int) -> dict[str, Any]:
    patience = Patience(PATIENCE)
    while not patience.is_over:
        records = [record for record in daemon.json("/stalls?target=it") if record["cause"] is not None]
        if len(records) == number:
            newest: dict[str, Any] = records[0]
            return newest
        time.sleep(0.1)
    raise AssertionError(f"no record {number}: {daemon.json('/stalls')}\n{daemon.log[-3000:]}")


def wait_for_line(daemon: Daemon, text: str) -> bool:
    """Wait until the log, which another thread writes, has this text."""
    patience = Patience(2)
    while text not in daemon.log and not patience.is_over:
        time.sleep(0.05)
    return text in daemon.log


def test_each_stall_has_its_cause(watched: tuple[RealServer, Daemon]) -> None:
    """The three stalls look the same to a client."""
    server, daemon = watched
    expected = (
        (sleep_in_a_command, {"command"}),
        (stop_the_process, {"not_running", "unknown"}),
        (pause_clients, {"paused", "unknown"}),
    )
    for number, (stall, causes) in enumerate(expected, start=1):
        stopwatch = Stopwatch()
        stalling = threading.Thread(target=stall, args=(server,))
        stalling.start()
        daemon.wait_for(lambda page: 'redis_stall_in_progress{target="it"} 1' in page.text, 5)
        assert daemon.json("/stalls?target=it")[0]["ended"] is None
        stalling.join()
        record = wait_for_record(daemon, number)
        assert record["cause"] in causes, record
        assert 0.8 < record["seconds"] < 3 + stopwatch.delay
        assert wait_for_line(daemon, f'cause={record["cause"]} why="{record["why"]}"')
        last = daemon.json("/health")["targets"]["it"]["last_stall"]
        assert (last["id"], last["cause"]) == (record["id"], record["cause"])
        time.sleep(2.5)
    daemon.wait_for(lambda page: 'redis_stalls_total{target="it",cause="command"} 1' in page.text, 20)


def test_quiet_server_has_no_stall(watched: tuple[RealServer, Daemon]) -> None:
    _, daemon = watched
    time.sleep(QUIET)
    assert daemon.json("/stalls?target=it") == []
    assert "redis_stalls_total{" not in daemon.page().text
