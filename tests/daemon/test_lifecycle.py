"""From start to end in one process: pages are served, a signal ends it, a port in use is an exit code."""

import asyncio
import os
import re
import signal
import socket

import httpx
import pytest

from redis_pulse.config import LoadedConfig, Settings
from redis_pulse.daemon import lifecycle
from tests.fakes import FakeServer
from tests.harness import eventually, target_settings


def loaded(url: str, **changes: object) -> LoadedConfig:
    return LoadedConfig(Settings(listen="127.0.0.1:0", **changes), (target_settings(url),))  # type: ignore[arg-type]


async def test_it_serves_until_a_signal_and_closes_its_connections() -> None:
    ports: list[int] = []
    beside_ended = False

    async def beside() -> None:
        nonlocal beside_ended
        try:
            await asyncio.Event().wait()
        finally:
            beside_ended = True

    async with FakeServer() as server:
        config = loaded(server.url)
        running = asyncio.create_task(
            lifecycle.serve(config, reload=lambda: config, alongside=beside, started=ports.append)
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
        await asyncio.wait_for(running, 5)
        await eventually(lambda: server.connected == 0)
    assert beside_ended


def test_a_port_in_use_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = LoadedConfig(Settings(listen=f"127.0.0.1:{port}"), (target_settings(),))
        assert lifecycle.run(config, reload=lambda: config) == 1
    assert str(port) in capsys.readouterr().err


def test_a_signal_is_exit_code_0() -> None:
    config = loaded("redis://127.0.0.1:1")

    def stop(_port: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert lifecycle.run(config, reload=lambda: config, started=stop) == 0


async def test_a_job_that_fails_is_counted_each_time_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    from redis_pulse import log
    from redis_pulse.telemetry import ExporterMetrics
    from tests.harness import metric_value

    log.setup("info", "logfmt")
    instruments = ExporterMetrics("x")
    failed = lifecycle._job_failed(instruments)
    for _ in range(3):
        failed("poll", RuntimeError("a fault"))
    assert metric_value(instruments, "redis_exporter_job_errors_total", kind="poll") == 3
    assert capsys.readouterr().err.count("a job failed") == 1


async def test_who_asks_too_much_is_counted_on_the_page_and_every_reason_is_there_from_the_start() -> None:
    from redis_pulse.web import REFUSAL_REASONS
    from tests.web.fakes import raw

    ports: list[int] = []
    config = loaded("redis://127.0.0.1:1")
    running = asyncio.create_task(lifecycle.serve(config, reload=lambda: config, started=ports.append))
    await eventually(lambda: bool(ports))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
        before = (await client.get("/metrics")).text
        async with raw(ports[0]) as connection:
            await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000)
            assert b" 431 " in await connection.rest()
        await asyncio.sleep(0.6)  # a page that was just made is handed out again for a moment
        after = (await client.get("/metrics")).text
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 10)
    for reason in REFUSAL_REASONS:
        assert f'redis_exporter_http_refused_total{{reason="{reason}"}} 0\n' in before
    assert 'redis_exporter_http_refused_total{reason="head_too_large"} 1\n' in after


async def test_at_the_end_a_part_that_fails_or_hangs_costs_no_other_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from redis_pulse import log

    log.setup()
    ended: list[str] = []

    async def fails() -> None:
        raise RuntimeError("it broke")

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def ends() -> None:
        ended.append("the last one")

    await asyncio.wait_for(lifecycle._end([fails, hangs, ends], within=0.05), 10)
    assert ended == ["the last one"]
    lines = capsys.readouterr().err.splitlines()
    assert ["it broke" in lines[0], "TimeoutError" in lines[1]] == [True, True]
