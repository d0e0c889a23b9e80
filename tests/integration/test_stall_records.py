"""Stalls of real servers: those that no ping meets, those that end with a restart, and their file."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.sentinels import SentinelSet
from tests.integration.servers import ALL, RealServer
from tests.patience import Patience

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PATIENCE = 20.0
#: A machine that is busy delays a server for less.
THRESHOLD, SLEEP = "300ms", 0.4
SLEEPS = 6


@pytest.fixture(params=ALL)
def server(request: pytest.FixtureRequest, stack: ExitStack, tmp_path: Path) -> RealServer:
    return stack.enter_context(RealServer(tmp_path / "server", request.param, enable_debug_command="yes"))


def watch(start_daemon: Callable[..., Daemon], server: RealServer, file: Path, interval: str) -> Daemon:
    daemon = start_daemon(
        config={
            "probe": {"interval": interval, "timeout": "1s"},
            "poll": {"interval": "2s"},
            "stalls": {"threshold": THRESHOLD, "file": str(file)},
            "targets": [{"name": "it", "url": server.url}],
        }
    )
    daemon.wait_until_up()
    time.sleep(3)  # snapshots from before
    return daemon


def wait_for(daemon: Daemon, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    patience = Patience(PATIENCE)
    while not patience.is_over:
        records: list[dict[str, Any]] = daemon.json("/stalls?target=it")
        if condition(records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{daemon.json('/stalls')}\n{daemon.log[-3000:]}")


def test_stall_between_two_pings_is_counted_once(
    server: RealServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """With a ping every 5 s, most of these meet none. The slow log shows all of them."""
    daemon = watch(start_daemon, server, tmp_path / "stalls.jsonl", "5s")
    for _ in range(SLEEPS):
        server.run("DEBUG", "SLEEP", str(SLEEP))
        time.sleep(1.3)
    sleeps = wait_for(daemon, lambda records: len(named(records)) >= SLEEPS)
    time.sleep(3)
    sleeps = named(daemon.json("/stalls?target=it"))
    later = [record for record in sleeps if record["seen"] == "later"]
    assert len(sleeps) == SLEEPS, sleeps
    assert len(later) >= 3
    assert {record["cause"] for record in later} == {"command"}
    assert len({record["why"] for record in later}) == len(later), "each entry of the log once"
    line = f'redis_stalls_later_total{{target="it",cause="command"}} {len(later)}\n'
    patience = Patience(40)  # pages show a new counter as 0 for 15 s
    while line not in daemon.page().text:
        assert not patience.is_over, daemon.page().text
        time.sleep(0.5)


def named(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ended records, without those of a busy machine."""
    return [record for record in records if record["why"] and "DEBUG" in record["why"]]


def test_server_that_restarts_in_a_stall_leaves_a_true_record(
    server: RealServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The enquiry loses its connection, and the first one after it goes to the new process."""
    file = tmp_path / "stalls.jsonl"
    daemon = watch(start_daemon, server, file, "200ms")
    server.freeze()
    wait_for(daemon, lambda records: bool(records) and records[0]["ended"] is None)
    server.kill()
    server.start()
    (record, *_) = wait_for(daemon, lambda records: bool(records) and records[0]["cause"] is not None)
    assert record["cause"] == "restart", record
    assert record["ended"] is not None
    daemon.wait_until_up()
    daemon.stop()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert record["id"] in [line["id"] for line in lines]
    daemon.start()
    daemon.wait_until_up()  # it listens before it has targets
    kept = daemon.json("/stalls?target=it&cause=restart")
    assert kept[-1]["why"] == record["why"]


def test_failover_during_a_stall_leaves_a_true_record(
    stack: ExitStack, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The enquiry waits for the frozen master, while the name of the target moves to the new one."""
    sentinel_set = stack.enter_context(SentinelSet(tmp_path / "set", "redis"))
    daemon = start_daemon(
        config={
            "probe": {"interval": "200ms", "timeout": "1s"},
            "poll": {"interval": "2s"},
            "stalls": {"threshold": THRESHOLD},
            "targets": [{"name": "queue", "sentinel": {"hosts": sentinel_set.hosts, "master": "cart"}}],
        }
    )
    page = daemon.wait_for(lambda page: page.up("queue/master") == 1, PATIENCE)
    time.sleep(3)  # snapshots from before
    (labels,) = [dict(labels) for labels in page.matching("redis_target_info", target="queue/master")]
    old = sentinel_set.server_at(labels["address"])
    old.freeze()
    daemon.wait_for(lambda page: page.value("redis_sentinel_last_failover_seconds") is not None, 30)
    daemon.wait_for(lambda page: page.up("queue/master") == 1, PATIENCE)

    def of_master(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [record for record in seen if record["target"] == "queue/master" and record["cause"] is not None]

    patience = Patience(PATIENCE)
    while not (found := of_master(daemon.json("/stalls"))) and not patience.is_over:
        time.sleep(0.1)
    old.thaw()
    assert found, f"{daemon.json('/stalls')}\n{daemon.log[-3000:]}"
    assert found[0]["ended"] is not None
    assert (found[0]["cause"], found[0]["certainty"]) == ("restart", "sure"), found[0]
    assert "failover" in found[0]["why"]
