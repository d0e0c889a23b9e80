"""Run redis-pulse or the naive loop against echo servers, which record when each PING arrived and left."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import checkout
import load
import yaml
from accuracy_pairs import Window, pair, read_exporter_log, read_naive_log
from process import Program, cpu_of

from tests.integration.echo import EchoServer

OURS, NAIVE = "redis-pulse", "naive loop"
INTERVAL = 1.0
SETTLE = 5.0  # seconds after the start that are not measured, and 1 s more for each hundred targets
STALL, EVERY = 2.0, 10.0
PAGE_TIMEOUT = 30.0  # seconds


def measure(
    who: str, folder: Path, count: int, seconds: float, *, stalls: bool, explains_stalls: bool = True
) -> Window:
    """Run one program against ``count`` servers for ``seconds``, or longer if a round of stalls needs more time.

    With ``explains_stalls``, redis-pulse takes its snapshots for the causes of stalls, as by default.
    """
    folder.mkdir()
    seconds = max(seconds, EVERY + STALL) if stalls else seconds
    with EchoServer(folder, count) as server:
        run = _ours(folder, server, explains_stalls=explains_stalls) if who == OURS else _naive(folder, server)
        with run as (pid, port):
            time.sleep(SETTLE + count / 100)
            if port:
                load.page(
                    port, load.PROMETHEUS, PAGE_TIMEOUT
                )  # rendering everything for the first page is not part of the measurement
                time.sleep(1)
            begun = []
            if stalls:
                server.do("stall", **{"for": STALL, "every": EVERY})
                begun = [time.time_ns() + round(number * EVERY * 1e9) for number in range(int(seconds / EVERY) + 1)]
            cpu, server_cpu, began, start = cpu_of(pid), cpu_of(server.pid), time.time_ns(), time.perf_counter()
            time.sleep(seconds / 2)
            if port:
                load.page(port, load.PROMETHEUS, PAGE_TIMEOUT)  # one scrape, as Prometheus does
            time.sleep(max(0.0, start + seconds - time.perf_counter()))
            ended, elapsed = time.time_ns(), time.perf_counter() - start
            cpu, server_cpu = (cpu_of(pid) - cpu) / elapsed, (cpu_of(server.pid) - server_cpu) / elapsed
            time.sleep(STALL + 0.5 if stalls else 0.5)  # wait for the last replies
        pings = server.record()
    measured, failures = (read_exporter_log if who == OURS else read_naive_log)(folder / "log.csv", began, ended)
    inside = [(start, start + round(STALL * 1e9)) for start in begun if start + STALL * 1e9 <= ended]
    arrived = [ping for ping in pings if began <= ping.arrived < ended]
    return Window(began, ended, pair(measured, pings), arrived, failures, cpu, server_cpu, inside)


@contextmanager
def _ours(folder: Path, server: EchoServer, *, explains_stalls: bool) -> Iterator[tuple[int, int]]:
    """Run redis-pulse with INFO, its defaults and a probe log. Yield its process id and the port of its page."""
    config = folder / "redis-pulse.yaml"
    settings = {
        "probe": {"timeout": "5s"},  # longer than a stall, so that its full length is measured
        "collectors": ["info"],
        "stalls": {"enabled": explains_stalls},
        "probe_log": {"file": str(folder / "log.csv"), "size": 1 << 30},
        "targets": [{"name": f"t{number}", "url": url} for number, url in enumerate(server.urls)],
    }
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "redis_pulse", "--config", str(config), "--listen", "127.0.0.1:{port}"]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    program = Program(OURS, command, env | {"PYTHONPATH": str(checkout.PACKAGES)}, folder / "stderr.log", idle=True)
    with program:
        yield program.pid, program.port


@contextmanager
def _naive(folder: Path, server: EchoServer) -> Iterator[tuple[int, int]]:
    """Run the naive loop. Yield its process id, and 0 instead of a port."""
    (folder / "ports.json").write_text(json.dumps(server.ports))
    command = [sys.executable, str(checkout.ROOT / "bench" / "naive.py"), f"--ports={folder}/ports.json"]
    command += [f"--log={folder}/log.csv", f"--interval={INTERVAL}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield process.pid, 0
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()  # a ping of redis-py may suppress its cancellation
