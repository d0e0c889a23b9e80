"""The daemon from start to end in one process: it serves pages, stops on signals and returns its exit code."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import httpx
import pytest

from redis_pulse import log
from redis_pulse.config import LoadedConfig, Settings
from redis_pulse.daemon import lifecycle
from redis_pulse.stalls import StallRecord, Verdict, to_line
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web import REFUSAL_REASONS
from tests.fakes import FakeServer
from tests.harness import eventually, metric_value, target_settings
from tests.web.fakes import connect


def loaded(url: str, **changes: object) -> LoadedConfig:
    return LoadedConfig(Settings(listen="127.0.0.1:0", **changes), (target_settings(url),))  # type: ignore[arg-type]


async def test_daemon_serves_until_a_signal_and_closes_its_connections() -> None:
    ports: list[int] = []
    has_ended = False

    async def alongside() -> None:
        nonlocal has_ended
        try:
            await asyncio.Event().wait()
        finally:
            has_ended = True

    async with FakeServer() as server:
        config = loaded(server.url)
        running = asyncio.create_task(
            lifecycle.serve(config, reload=lambda: config, alongside=alongside, started=ports.append)
        )
        await eventually(lambda: bool(ports) and server.connected > 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
            page = await client.get("/metrics")
            assert page.status_code == 200
            (tasks,) = re.findall(r"^redis_exporter_tasks (.+)$", page.text, re.MULTILINE)
            assert 3 <= float(tasks) <= len(asyncio.all_tasks()) + 10
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda: not running.done())
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 60)
        await eventually(lambda: server.connected == 0)
    assert has_ended


def test_port_in_use_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = LoadedConfig(Settings(listen=f"127.0.0.1:{port}"), (target_settings(),))
        assert lifecycle.run(config, reload=lambda: config) == 1
    assert str(port) in capsys.readouterr().err


def test_signal_is_exit_code_0() -> None:
    config = loaded("redis://127.0.0.1:1")

    def stop(_port: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert lifecycle.run(config, reload=lambda: config, started=stop) == 0


async def test_failed_job_is_counted_each_time_and_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "logfmt")
    metrics = ExporterMetrics("x")
    on_error = lifecycle._job_error_hook(metrics)
    for _ in range(3):
        on_error("poll", RuntimeError("a fault"))
    assert metric_value(metrics, "redis_exporter_job_errors_total", kind="poll") == 3
    assert capsys.readouterr().err.count("a job failed") == 1


async def test_refused_requests_are_counted_and_every_reason_starts_at_0() -> None:
    ports: list[int] = []
    config = loaded("redis://127.0.0.1:1")
    running = asyncio.create_task(lifecycle.serve(config, reload=lambda: config, started=ports.append))
    await eventually(lambda: bool(ports))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
        before = (await client.get("/metrics")).text
        async with connect(ports[0]) as connection:
            await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000)
            assert b" 431 " in await connection.read_rest()
        await asyncio.sleep(0.6)  # a page is cached for a moment
        after = (await client.get("/metrics")).text
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 60)
    for reason in REFUSAL_REASONS:
        assert f'redis_exporter_http_refused_total{{reason="{reason}"}} 0\n' in before
    assert 'redis_exporter_http_refused_total{reason="head_too_large"} 1\n' in after


async def test_component_that_fails_or_hangs_does_not_keep_others_from_stopping(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup()
    stopped: list[str] = []

    async def fail() -> None:
        raise RuntimeError("it broke")

    async def hang() -> None:
        await asyncio.Event().wait()

    async def stop() -> None:
        stopped.append("the last one")

    await asyncio.wait_for(lifecycle._stop_in_order([fail, hang, stop], seconds=0.05), 60)
    assert stopped == ["the last one"]
    lines = capsys.readouterr().err.splitlines()
    assert ["it broke" in lines[0], "TimeoutError" in lines[1]] == [True, True]


async def test_stalls_of_the_time_before_a_restart_are_on_their_page(tmp_path: Path) -> None:
    record = StallRecord(41, "t", 1e9, 1e9 + 1, 1.0, verdict=Verdict("fork", "sure", "a fork took 1 s", "Wait."))
    file = tmp_path / "stalls.jsonl"
    file.write_text(to_line(record))
    ports: list[int] = []
    config = loaded("redis://127.0.0.1:1", stalls={"file": file})
    running = asyncio.create_task(lifecycle.serve(config, reload=lambda: config, started=ports.append))
    await eventually(lambda: bool(ports))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
        (stall,) = (await client.get("/stalls?cause=fork")).json()
    assert (stall["id"], stall["why"]) == (41, "a fork took 1 s")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 60)
