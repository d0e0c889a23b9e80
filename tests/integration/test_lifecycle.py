"""The process from start to end: signals, its log, its port, and HTTP clients that misbehave."""

import contextlib
import os
import signal
import socket
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
from tests.patience import Patience, Stopwatch

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]


def test_sigterm_ends_with_0_and_closes_connections_cleanly(start_server: Start, watch: Watch) -> None:
    server = start_server(loglevel="verbose")
    daemon = watch(server)
    daemon.wait_until_up()
    assert len(server.run("CLIENT", "LIST", "TYPE", "normal").splitlines()) > 1
    daemon.stop()
    wait_until(lambda: len(server.run("CLIENT", "LIST", "TYPE", "normal").splitlines()) == 1)
    assert "Reading from client" not in server.log, "a connection was reset"


def test_sigint_ends_like_sigterm(start_server: Start, watch: Watch) -> None:
    daemon = watch(start_server())
    daemon.wait_until_up()
    os.kill(daemon.pid, signal.SIGINT)
    daemon.stop()


def test_sigterm_ends_in_time_while_a_server_hangs(start_server: Start, start_daemon: Any) -> None:
    """With long timeouts, and with a ping and a poll that never get a reply."""
    server = start_server()
    long = {"probe": {"interval": "100ms", "timeout": "30s"}, "poll": {"interval": "30s", "timeout": "30s"}}
    daemon = start_daemon(config={**long, "targets": [{"name": "it", "url": server.url}]})
    daemon.wait_for(lambda page: page.up() == 1)
    server.freeze()
    hung = daemon.page()
    daemon.wait_for(lambda page: page.operations() > hung.operations() + 5)
    assert daemon.stop() < 5


def test_sigterm_ends_in_time_with_a_server_down_and_idle_clients(
    start_server: Start, watch: Watch, stack: ExitStack
) -> None:
    daemon = watch(start_server(listen=False))
    idle = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE))
    idle.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: it\r\n\r\n")
    assert idle.recv(100).startswith(b"HTTP/1.1 200")
    unfinished = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE))
    unfinished.sendall(b"GET /metrics HTTP/1.1\r\nHost: i")
    assert daemon.stop() < 5


def test_port_in_use_is_one_clear_line_and_exit_code_1(stack: ExitStack, tmp_path: Path) -> None:
    taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    listen = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [sys.executable, "-m", "redis_pulse", "--redis-url", "redis://127.0.0.1:1", "--listen", listen]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert listen in result.stderr
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_settings_can_come_from_the_environment_alone(start_server: Start, tmp_path: Path, stack: ExitStack) -> None:
    """As in a container: only REDIS_URL is set."""
    server = start_server()
    port = free_port()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REDIS_URL": server.url}
    command = [sys.executable, "-m", "redis_pulse", "--listen", f"127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
    stack.callback(process.kill)
    daemon = Daemon(tmp_path)
    daemon.port, daemon.log_file = port, tmp_path / "log"
    wait_until(lambda: accepts_connections(port))
    daemon.wait_for(lambda page: page.up() == 1)
    process.terminate()
    assert process.wait(60) == 0


def accepts_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_server_that_is_down_is_a_few_log_lines_and_not_one_per_probe(start_server: Start, watch: Watch) -> None:
    server = start_server()
    daemon = watch(server)
    up = daemon.wait_until_up()
    before = len(daemon.log.splitlines())
    server.kill()
    daemon.wait_for(lambda page: page.failures("ping") >= 40)
    lines = daemon.log.splitlines()[before:]
    assert any("refused" in line or "reset" in line for line in lines), "the log names the loss and its reason"
    # Lost, breaker opened, and at most a few more lines. Trials that fail again add none.
    assert len(lines) <= 8, "\n".join(lines)
    server.start()
    back = daemon.wait_until_up()
    assert back.operations() > up.operations() + 40
    assert len(daemon.log.splitlines()) - before <= 14, daemon.log


def test_unfinished_requests_do_not_stop_scrapes_and_are_closed(
    start_server: Start, watch: Watch, stack: ExitStack
) -> None:
    daemon = watch(start_server())
    daemon.wait_until_up()
    before = daemon.median_of_scrapes()
    stopwatch = Stopwatch()
    unfinished = []
    for half in (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: it\r\nX-Slow: ") * 10:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=60))
        connection.sendall(half)
        unfinished.append(connection)
    assert daemon.median_of_scrapes() < 2 * before + 0.1
    for connection in unfinished:
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass  # a response 408 may come first
    assert stopwatch.seconds < 20, "unfinished requests are closed after 10 s"
    assert daemon.page().up() == 1


def test_many_scrapes_leave_no_connection_and_no_file_open(start_server: Start, watch: Watch) -> None:
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


def test_ready_after_the_first_samples_and_healthy_before(start_server: Start, watch: Watch) -> None:
    server = start_server(listen=False)
    daemon = watch(server)
    assert daemon.get("/-/healthy")[0] == 200
    assert daemon.get("/metrics")[0] == 200
    server.start()
    wait_until(lambda: daemon.get("/-/ready")[0] == 200)


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until a condition is true."""
    patience = Patience(seconds)
    while not condition():
        assert not patience.is_over, "did not happen in time"
        time.sleep(0.03)
