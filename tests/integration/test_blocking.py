"""Files, logs and descriptors that block affect only their own part of the daemon. Tested with a real server."""

import fcntl
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.daemon import PATIENCE, ROOT, Daemon
from tests.integration.pages import Page
from tests.integration.requirements import need
from tests.integration.servers import RealServer
from tests.patience import Patience, Stopwatch

pytestmark = [pytest.mark.integration, pytest.mark.slow]

HUNG_FILES = "tests.integration.hung_files"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with RealServer(tmp_path_factory.mktemp("server"), databases="100") as server:
        yield server


def hang(file: Path) -> Path:
    """Make a file hang when it is opened. Return the marker: the file works again when it is removed."""
    marker = file.with_name(f"{file.name}.hangs")
    marker.touch()
    return marker


def targets(server: RealServer, **more: object) -> dict[str, object]:
    return {"targets": [{"name": "a", "url": server.url, **more}]}


def reloaded(daemon: Daemon) -> tuple[int, str]:
    status, _, text = daemon.get("/-/reload", "POST")
    return status, text


def test_password_file_that_hangs_or_is_a_fifo_stops_nothing(server: RealServer, tmp_path: Path) -> None:
    """The target keeps its last password. Pages and the shutdown always work."""
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    with RealServer(tmp_path / "server", requirepass="hunter2") as locked:
        config = {
            "targets": [
                {"name": "open", "url": server.url},
                {"name": "locked", "url": locked.url, "password_file": str(password)},
            ]
        }
        with Daemon(tmp_path / "d", config=config, module=HUNG_FILES) as daemon:
            daemon.wait_until_up("open")
            daemon.wait_until_up("locked")
            hang(password)
            locked.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            first = daemon.wait_for(lambda page: page.failures("connect", target="locked") == 0 and connects(page) >= 4)
            daemon.wait_for(lambda page: successes(page, "open") > successes(first, "open") + 10)
            assert daemon.page().failures("ping", target="open") == 0
            daemon.wait_for(lambda page: successes(page, "locked") > successes(first, "locked") + 5)
            password.unlink()
            os.mkfifo(password)
            assert daemon.stop() < 4


def connects(page: Page) -> float:
    """Return how many connections to the target with the password were attempted."""
    return page.operations("connect", "locked")


def successes(page: Page, target: str) -> float:
    return page.operations("ping", target) - page.failures("ping", target=target)


def test_configuration_that_hangs_fails_only_its_own_reload(server: RealServer, tmp_path: Path) -> None:
    with Daemon(tmp_path, config=targets(server), module=HUNG_FILES) as daemon:
        daemon.wait_until_up("a")
        marker = hang(daemon.file)
        status, text = reloaded(daemon)
        assert status == 400
        assert "took longer than 10 s" in text
        assert daemon.page().value("redis_exporter_config_last_reload_successful") == 0
        assert daemon.page().up("a") == 1
        daemon.reload()  # hangs too, so the daemon is stopped during a reload
        time.sleep(0.3)
        assert daemon.stop() < 4
        marker.unlink()


def test_configuration_that_is_a_fifo_is_rejected_at_once(server: RealServer, tmp_path: Path) -> None:
    with Daemon(tmp_path, config=targets(server)) as daemon:
        daemon.wait_until_up("a")
        daemon.file.unlink()
        os.mkfifo(daemon.file)
        status, text = reloaded(daemon)
        assert (status, "not a regular file" in text) == (400, True)
        daemon.file.unlink()
        daemon.configure(targets(server))
        assert reloaded(daemon)[0] == 200


def test_discovery_file_that_is_a_fifo_fails_until_it_is_a_file(server: RealServer, tmp_path: Path) -> None:
    file, other = tmp_path / "a.json", tmp_path / "b.json"
    os.mkfifo(file)
    other.write_text(json.dumps([{"targets": [server.address], "labels": {"__name": "other"}}]))
    config = {"discovery": {"files": [{"path": str(tmp_path / "*.json"), "interval": "1s"}], "allow": ["127.0.0.0/8"]}}
    with Daemon(tmp_path / "d", config=config) as daemon:
        daemon.wait_until_up("other")
        daemon.wait_for(lambda page: page.sum("redis_exporter_discovery_failures_total") >= 1)
        file.unlink()
        file.write_text(json.dumps([{"targets": [f"{server.address}/1"], "labels": {"__name": "mended"}}]))
        daemon.wait_until_up("mended")


def test_discovery_file_that_hangs_stops_neither_others_nor_shutdown(server: RealServer, tmp_path: Path) -> None:
    file, other = tmp_path / "a.json", tmp_path / "b.json"
    file.write_text(json.dumps([{"targets": [f"{server.address}/1"], "labels": {"__name": "slow"}}]))
    other.write_text(json.dumps([{"targets": [server.address], "labels": {"__name": "other"}}]))
    marker = hang(file)
    config = {"discovery": {"files": [{"path": str(tmp_path / "*.json"), "interval": "1s"}], "allow": ["127.0.0.0/8"]}}
    with Daemon(tmp_path / "d", config=config, module=HUNG_FILES) as daemon:
        daemon.wait_until_up("other")
        daemon.wait_for(lambda page: page.sum("redis_exporter_discovery_failures_total") >= 1)
        marker.unlink()
        daemon.wait_until_up("slow")
        file.write_text("[]")
        hang(file)
        time.sleep(1.2)
        assert daemon.stop() < 4


def test_newer_file_wins_between_two_concurrent_reloads(server: RealServer, tmp_path: Path) -> None:
    """The older file is slow to read. It must not replace the newer one."""
    slow = {"modules": {f"m{number}": {"probe": {"timeout": "1s"}} for number in range(3000)}}
    with Daemon(tmp_path, config=targets(server)) as daemon:
        daemon.wait_until_up("a")
        daemon.configure({**slow, "targets": [{"name": "old", "url": server.url}]})
        daemon.reload()
        time.sleep(0.3)
        daemon.configure({"targets": [{"name": "new", "url": server.url}]})
        assert reloaded(daemon)[0] == 200
        daemon.wait_until_up("new")
        assert "old" not in daemon.json("/health")["targets"]


class UnreadDaemon:
    """A daemon that logs to a pipe of 4 KiB without a reader."""

    def __init__(self, folder: Path, server: RealServer) -> None:
        self.daemon = Daemon(folder)
        # Each file of targets that is missing has one line, and 2000 lines may wait.
        missing = [str(folder / str(number) / "targets.yaml") for number in range(2100)]
        self.daemon.configure({**targets(server), "discovery": {"files": missing}, "log": {"level": "info"}})

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        daemon = self.daemon
        command = [sys.executable, "-m", "redis_pulse", "--config", str(daemon.file)]
        command += ["--listen", f"127.0.0.1:{daemon.port}"]
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
        os.close(writing)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            os.close(reading)


def test_log_without_reader_loses_only_lines(server: RealServer, tmp_path: Path) -> None:
    unread = UnreadDaemon(tmp_path, server)
    daemon = unread.daemon
    with unread.running() as process:
        patience = Patience(PATIENCE)
        while not patience.is_over:
            try:
                if daemon.page().up("a") == 1:
                    break
            except OSError:
                time.sleep(0.05)
        daemon.wait_for(lambda page: page.sum("redis_exporter_log_lines_dropped_total"), 60)
        first = daemon.page()
        daemon.wait_for(lambda page: successes(page, "a") > successes(first, "a"))
        stopwatch = Stopwatch(process.pid)
        process.terminate()
        while process.poll() is None:
            assert stopwatch.seconds < 5
            time.sleep(0.02)
        assert process.returncode == 0


def test_too_few_descriptors_leave_pages_and_cause_one_warning(server: RealServer, tmp_path: Path) -> None:
    config = {"targets": [{"name": f"t{number}", "url": f"{server.url}/{number}"} for number in range(100)]}
    need("prlimit", "util-linux")
    with Daemon(tmp_path, config=config, file_limits=(40, 64)) as daemon:
        daemon.wait_for(lambda page: page.sum("redis_up") >= 5)
        time.sleep(2)
        first = daemon.page()
        time.sleep(3)
        page = daemon.page()
        used = page.sum("process_cpu_seconds_total") - first.sum("process_cpu_seconds_total")
        assert used / (page.received_at - first.received_at) < 0.9
        assert page.sum("redis_operation_failures_total", reason="skipped") > 0
        assert page.sum("redis_operation_failures_total", reason="reset") == 0
        assert page.sum("redis_circuit_breaker_state", state="open") == 0
        lines = daemon.log.splitlines()
        assert len([line for line in lines if "LimitNOFILE=512" in line]) == 1
        assert len(lines) < 150


def test_soft_limit_is_raised_to_hard_limit(server: RealServer, tmp_path: Path) -> None:
    with Daemon(tmp_path, config=targets(server), file_limits=(64, 512)) as daemon:
        daemon.wait_until_up("a")
        assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (512, 512)
        assert "limit of open files" not in daemon.log
