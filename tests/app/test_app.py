"""From start to end in one process: pages are served, a signal ends it, a port in use is an exit code."""

import asyncio
import os
import re
import signal
import socket

import httpx
import pytest

from exporter import app
from exporter.config import Loaded, Settings
from tests.fakes import FakeServer
from tests.watching import eventually, settings


def loaded(url: str, **changes: object) -> Loaded:
    return Loaded(Settings(listen="127.0.0.1:0", **changes), (settings(url),))  # type: ignore[arg-type]


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
        running = asyncio.create_task(app.serve(config, reload=lambda: config, alongside=beside, started=ports.append))
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
        config = Loaded(Settings(listen=f"127.0.0.1:{port}"), (settings(),))
        assert app.run(config, reload=lambda: config) == 1
    assert str(port) in capsys.readouterr().err


def test_a_signal_is_exit_code_0() -> None:
    config = loaded("redis://127.0.0.1:1")

    def stop(_port: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert app.run(config, reload=lambda: config, started=stop) == 0


async def test_a_job_that_fails_is_counted_each_time_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    from exporter import log
    from exporter.instruments import Instruments
    from tests.watching import value

    log.setup("info", "logfmt")
    instruments = Instruments("x")
    failed = app._job_failed(instruments)
    for _ in range(3):
        failed("poll", RuntimeError("a fault"))
    assert value(instruments, "redis_exporter_job_errors_total", kind="poll") == 3
    assert capsys.readouterr().err.count("a job failed") == 1
