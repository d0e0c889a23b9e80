"""From start to end: what the process does with signals, with its log, with its port and with rude HTTP clients."""

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import PATIENCE, ROOT, Daemon
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]


def test_sigterm_ends_it_with_0_and_its_connections_are_closed_cleanly(start_server: Start, watch: Watch) -> None:
    server = start_server(loglevel="verbose")
    daemon = watch(server)
    daemon.wait_until_up()
    assert len(server.run("CLIENT", "LIST", "TYPE", "normal").splitlines()) > 1
    daemon.stop()
    wait_until(lambda: len(server.run("CLIENT", "LIST", "TYPE", "normal").splitlines()) == 1)
    assert "Reading from client" not in server.log, "a connection was reset"


def test_sigint_ends_it_as_sigterm_does(start_server: Start, watch: Watch) -> None:
    daemon = watch(start_server())
    daemon.wait_until_up()
    os.kill(daemon.pid, signal.SIGINT)
    daemon.stop()


def test_sigterm_ends_it_in_time_while_a_server_hangs(start_server: Start, start_daemon: Any) -> None:
    """With long timeouts, and with a ping and a poll under way that nobody will ever answer."""
    server = start_server()
    long = {"probe": {"interval": "100ms", "timeout": "30s"}, "poll": {"interval": "30s", "timeout": "30s"}}
    daemon = start_daemon(config={**long, "targets": [{"name": "it", "url": server.url}]})
    daemon.wait_for(lambda page: page.up() == 1)
    server.freeze()
    waiting = daemon.page()
    daemon.wait_for(lambda page: page.slots() > waiting.slots() + 5)
    assert daemon.stop() < 5


def test_sigterm_ends_it_in_time_while_a_server_is_away_and_clients_idle(
    start_server: Start, watch: Watch, stack: ExitStack
) -> None:
    daemon = watch(start_server(listen=False))
    idle = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE))
    idle.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: it\r\n\r\n")
    assert idle.recv(100).startswith(b"HTTP/1.1 200")
    unfinished = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE))
    unfinished.sendall(b"GET /metrics HTTP/1.1\r\nHost: i")
    assert daemon.stop() < 5


def test_a_port_in_use_is_one_clear_line_and_exit_code_1(stack: ExitStack, tmp_path: Path) -> None:
    taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    listen = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [sys.executable, "-m", "redis_pulse", "--redis-url", "redis://127.0.0.1:1", "--listen", listen]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    assert listen in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_settings_come_from_the_environment_alone_too(start_server: Start, tmp_path: Path, stack: ExitStack) -> None:
    """As in a container: REDIS_URL and nothing else."""
    server = start_server()
    port = free_port()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REDIS_URL": server.url}
    command = [sys.executable, "-m", "redis_pulse", "--listen", f"127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
    stack.callback(process.kill)
    daemon = Daemon(tmp_path)
    daemon.port, daemon.log_file = port, tmp_path / "log"
    wait_until(lambda: answers(port))
    daemon.wait_for(lambda page: page.up() == 1)
    process.terminate()
    assert process.wait(5) == 0


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_a_server_that_is_down_costs_a_few_log_lines_not_one_for_each_probe(start_server: Start, watch: Watch) -> None:
    server = start_server()
    daemon = watch(server)
    up = daemon.wait_until_up()
    before = len(daemon.log.splitlines())
    server.kill()
    daemon.wait_for(lambda page: page.failures("ping") >= 40)
    lines = daemon.log.splitlines()[before:]
    assert any("refused" in line or "reset" in line for line in lines), "that it was lost, and why, is said"
    # Lost, breaker opened, and at most a few words more: trials that fail again change nothing.
    assert len(lines) <= 8, "\n".join(lines)
    server.start()
    back = daemon.wait_until_up()
    assert back.slots() > up.slots() + 40
    assert len(daemon.log.splitlines()) - before <= 14, daemon.log


def test_requests_that_never_end_do_not_stop_scrapes_and_are_cut(
    start_server: Start, watch: Watch, stack: ExitStack
) -> None:
    daemon = watch(start_server())
    daemon.wait_until_up()
    began = time.monotonic()
    rude = []
    for half in (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: it\r\nX-Slow: ") * 10:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=25))
        connection.sendall(half)
        rude.append(connection)
    scrapes = [daemon.page() for _ in range(15)]
    assert statistics.median(page.answered - page.asked for page in scrapes) < 0.1
    for connection in rude:
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass  # maybe a 408 is said first
    assert time.monotonic() - began < 20, "unfinished requests are cut after 10 s"
    assert daemon.page().up() == 1


def test_many_scrapes_leave_no_connection_and_no_file_behind(start_server: Start, watch: Watch) -> None:
    daemon = watch(start_server())
    daemon.wait_until_up()
    daemon.get("/metrics")
    if not Path(f"/proc/{daemon.pid}/fd").exists():
        pytest.skip("this system does not show open files in /proc")
    before = open_files(daemon)
    for _ in range(200):
        daemon.get("/metrics")
    wait_until(lambda: open_files(daemon) <= before + 3)


def open_files(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


def test_it_is_ready_once_the_first_samples_are_in_and_alive_before(start_server: Start, watch: Watch) -> None:
    server = start_server(listen=False)
    daemon = watch(server)
    assert daemon.get("/-/healthy")[0] == 200
    assert daemon.get("/metrics")[0] == 200
    server.start()
    wait_until(lambda: daemon.get("/-/ready")[0] == 200)


def wait_until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.03)
