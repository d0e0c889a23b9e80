"""The daemon answers its pages from what it knows, and takes over a new configuration whole or not at all."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest

from redis_pulse import log
from redis_pulse.collectors import load
from redis_pulse.config import ConfigError, LoadedConfig, Problem, Settings
from redis_pulse.daemon.target_manager import TargetManager
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.daemon.web_facade import DaemonFacade
from redis_pulse.exposition import PageBuilder, render
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import FakeServer, bulk
from tests.harness import eventually, metric_value, target_settings

QUICK = {"probe": {"interval": 0.05, "timeout": 1}}


class Running:
    """A daemon without its web server; ``next`` is what the next reload reads."""

    def __init__(self) -> None:
        self.next: LoadedConfig | Exception = loaded()
        self.hang: Callable[[], bool] = lambda: True
        self.instruments = ExporterMetrics("x")
        store = SampleStore(render, monotonic)
        self.schedule = Scheduler(monotonic, on_missed=lambda *_: None, on_error=lambda *_: None)
        self.fleet = TargetManager(load(), store, self.instruments, self.schedule, clock=monotonic)
        self.daemon = DaemonFacade(
            Settings(),
            TargetSync(self.fleet, self.instruments, self.schedule, clock=monotonic),
            store,
            self.instruments,
            PageBuilder(store, self.instruments, []),
            reload=self._read,
            is_healthy=lambda: True,
            clock=monotonic,
        )

    def _read(self) -> LoadedConfig:
        self.hang()
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


def loaded(*targets: Any, warnings: tuple[str, ...] = (), **changes: Any) -> LoadedConfig:
    return LoadedConfig(Settings(**changes), targets, warnings)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    running.schedule.start()
    yield running
    await running.schedule.stop(1)
    await running.fleet.stop()


async def test_a_target_goes_from_unknown_to_connected_to_its_trouble(running: Running) -> None:
    async with FakeServer() as server:
        server.info = bulk(
            "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n# Clients\r\nconnected_clients:2\r\n"
            "# Memory\r\nused_memory:1024\r\n# Stats\r\nkeyspace_hits:3\r\n# Replication\r\nrole:master\r\n"
        )
        await running.daemon.apply_config(loaded(target_settings(server.url, **QUICK)))
        (view,) = running.daemon.targets()
        assert (view.status, view.up, view.stats, view.latency_seconds) == ("disconnected", False, None, None)
        await eventually(lambda: running.daemon.targets()[0].up and running.daemon.ready())
        (view,) = running.daemon.targets()
        assert (view.status, view.version, view.role, view.breaker) == ("connected", "7.0.0", "master", "closed")
        assert view.stats is not None
        assert (view.stats.connected_clients, view.stats.used_memory_bytes, view.stats.keyspace_misses) == (
            2,
            1024,
            None,
        )
        assert view.probe_age_seconds is not None
    await eventually(lambda: running.daemon.targets()[0].status.startswith("error: "))
    (view,) = running.daemon.targets()
    assert not view.up
    assert view.status.split(": ")[1] in ("refused", "reset")


async def test_it_is_ready_when_every_target_was_asked_once_also_in_vain(running: Running) -> None:
    await running.daemon.apply_config(loaded(target_settings()))
    assert not running.daemon.ready()
    await eventually(running.daemon.ready)


async def test_a_good_configuration_is_taken_over(running: Running) -> None:
    running.next = loaded(target_settings(), warnings=("look out",), listen=":1234")
    assert await running.daemon.reload() is None
    assert [view.name for view in running.daemon.targets()] == ["t"]
    assert metric_value(running.instruments, "redis_exporter_config_last_reload_successful") == 1
    assert metric_value(running.instruments, "redis_exporter_config_last_reload_success_timestamp_seconds") > 0


async def test_a_bad_configuration_changes_nothing_and_says_why(running: Running) -> None:
    await running.daemon.apply_config(loaded(target_settings()))
    running.next = ConfigError([Problem("file.yaml:3: targets[0].ulr", "is not known", "did you mean url?")])
    why = await running.daemon.reload()
    assert why is not None
    assert "targets[0].ulr" in why
    assert [view.name for view in running.daemon.targets()] == ["t"]
    assert metric_value(running.instruments, "redis_exporter_config_last_reload_successful") == 0


async def test_pages_and_requests_are_counted(running: Running) -> None:
    assert b"redis_exporter_targets 0\n" in await running.daemon.metrics(openmetrics=False, gzip=False)
    running.daemon.count_request("/metrics", 200, 0.001)
    assert metric_value(running.instruments, "redis_exporter_http_requests_total", path="/metrics", code="200") == 1
    assert running.daemon.healthy()
    assert running.daemon.uptime_seconds() >= 0


async def test_a_fault_of_ours_in_a_reload_is_told_counted_and_survived(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup()
    await running.daemon.apply_config(loaded(target_settings()))
    running.next = RuntimeError("a fault")
    why = await running.daemon.reload()
    assert why == "a fault of redis-pulse: RuntimeError, see the log"
    assert "a fault" in capsys.readouterr().err
    assert metric_value(running.instruments, "redis_exporter_config_last_reload_successful") == 0
    assert [view.name for view in running.daemon.targets()] == ["t"]
    running.next = loaded()
    assert await running.daemon.reload() is None
    assert metric_value(running.instruments, "redis_exporter_config_last_reload_successful") == 1


async def test_a_reading_that_hangs_fails_at_its_deadline_and_stops_no_later_one(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis_pulse.daemon.web_facade.READING", 0.05)
    freed = threading.Event()
    running.hang = freed.wait
    why = await running.daemon.reload()
    assert why is not None
    assert "took longer than" in why
    assert metric_value(running.instruments, "redis_exporter_config_last_reload_successful") == 0
    running.hang = lambda: True
    monkeypatch.setattr("redis_pulse.daemon.web_facade.READING", 10)
    running.next = loaded(target_settings())
    assert await running.daemon.reload() is None
    running.next = loaded()
    freed.set()  # the hung one ends now: what it read is nobody's any more
    await asyncio.sleep(0.05)
    assert [view.name for view in running.daemon.targets()] == ["t"]
