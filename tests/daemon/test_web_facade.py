"""The facade shows what is known of the targets, and applies a new configuration completely or not at all."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest

from redis_pulse import log
from redis_pulse.collectors import load
from redis_pulse.config import ConfigError, LoadedConfig, Problem, Settings
from redis_pulse.daemon.status_pages import OwnHistory
from redis_pulse.daemon.target_manager import TargetManager
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.daemon.web_facade import DaemonFacade
from redis_pulse.exposition import PageBuilder, render_steps
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import FakeServer, bulk
from tests.harness import eventually, metric_value, target_settings

QUICK = {"probe": {"interval": 0.05, "timeout": 1}}


class FacadeHarness:
    """A daemon without its web server. ``next_config`` is what the next reload reads."""

    def __init__(self) -> None:
        self.next_config: LoadedConfig | Exception = loaded()
        self.before_read: Callable[[], bool] = lambda: True
        self.metrics = ExporterMetrics("x")
        store = SampleStore(render_steps, monotonic)
        self.scheduler = Scheduler(
            monotonic, on_missed=lambda *_: None, on_error=lambda *_: None, on_lag=lambda _: None
        )
        self.targets = TargetManager(load(), store, self.metrics, self.scheduler, clock=monotonic)
        self.facade = DaemonFacade(
            Settings(),
            TargetSync(self.targets, self.metrics, self.scheduler, clock=monotonic),
            store,
            self.metrics,
            PageBuilder(store, self.metrics, []),
            reload=self._load_config,
            own=OwnHistory(self.targets.wall, lambda: True),
            clock=monotonic,
        )

    def _load_config(self) -> LoadedConfig:
        self.before_read()
        if isinstance(self.next_config, Exception):
            raise self.next_config
        return self.next_config


def loaded(*targets: Any, warnings: tuple[str, ...] = (), **changes: Any) -> LoadedConfig:
    return LoadedConfig(Settings(**changes), targets, warnings)


@pytest.fixture
async def harness() -> AsyncIterator[FacadeHarness]:
    harness = FacadeHarness()
    harness.scheduler.start()
    yield harness
    await harness.scheduler.stop(1)
    await harness.targets.stop()


async def test_target_view_shows_disconnected_then_connected_then_its_error(harness: FacadeHarness) -> None:
    async with FakeServer() as server:
        server.info = bulk(
            "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n# Clients\r\nconnected_clients:2\r\n"
            "# Memory\r\nused_memory:1024\r\n# Stats\r\nkeyspace_hits:3\r\n# Replication\r\nrole:master\r\n"
        )
        await harness.facade.apply_config(loaded(target_settings(server.url, **QUICK)))
        (view,) = harness.facade.targets()
        assert (view.status, view.up, view.latency_seconds) == ("disconnected", False, None)
        assert harness.facade.stats(view.name) is None
        await eventually(lambda: harness.facade.targets()[0].up and harness.facade.ready())
        (view,) = harness.facade.targets()
        assert (view.status, view.version, view.role, view.breaker) == ("connected", "7.0.0", "master", "closed")
        stats = harness.facade.stats(view.name)
        assert stats is not None
        assert (stats.connected_clients, stats.used_memory_bytes, stats.keyspace_misses) == (2, 1024, None)
        assert view.probe_age_seconds is not None
    await eventually(lambda: harness.facade.targets()[0].status.startswith("error: "))
    (view,) = harness.facade.targets()
    assert not view.up
    assert view.status.split(": ")[1] in ("refused", "reset")


async def test_ready_when_every_target_was_polled_even_if_all_failed(harness: FacadeHarness) -> None:
    await harness.facade.apply_config(loaded(target_settings()))
    assert not harness.facade.ready()
    await eventually(harness.facade.ready)


async def test_valid_configuration_is_applied(harness: FacadeHarness) -> None:
    harness.next_config = loaded(target_settings(), warnings=("look out",), listen=":1234")
    assert await harness.facade.reload() is None
    assert [view.name for view in harness.facade.targets()] == ["t"]
    assert metric_value(harness.metrics, "redis_exporter_config_last_reload_successful") == 1
    assert metric_value(harness.metrics, "redis_exporter_config_last_reload_success_timestamp_seconds") > 0


async def test_bad_configuration_changes_nothing_and_returns_the_error(harness: FacadeHarness) -> None:
    await harness.facade.apply_config(loaded(target_settings()))
    harness.next_config = ConfigError([Problem("file.yaml:3: targets[0].ulr", "is not known", "did you mean url?")])
    error = await harness.facade.reload()
    assert error is not None
    assert "targets[0].ulr" in error
    assert [view.name for view in harness.facade.targets()] == ["t"]
    assert metric_value(harness.metrics, "redis_exporter_config_last_reload_successful") == 0


async def test_page_is_rendered_and_requests_are_counted(harness: FacadeHarness) -> None:
    assert b"redis_exporter_targets 0\n" in bytes(await harness.facade.metrics(openmetrics=False, gzip=False))
    harness.facade.count_request("/metrics", 200, 0.001)
    assert metric_value(harness.metrics, "redis_exporter_http_requests_total", path="/metrics", code="200") == 1
    assert harness.facade.healthy()
    assert harness.facade.uptime_seconds() >= 0


async def test_internal_error_in_a_reload_is_logged_and_the_next_one_works(
    harness: FacadeHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup()
    await harness.facade.apply_config(loaded(target_settings()))
    harness.next_config = RuntimeError("a fault")
    error = await harness.facade.reload()
    assert error == "internal error (RuntimeError), see the log"
    assert "a fault" in capsys.readouterr().err
    assert metric_value(harness.metrics, "redis_exporter_config_last_reload_successful") == 0
    assert [view.name for view in harness.facade.targets()] == ["t"]
    harness.next_config = loaded()
    assert await harness.facade.reload() is None
    assert metric_value(harness.metrics, "redis_exporter_config_last_reload_successful") == 1


async def test_hanging_read_fails_at_its_deadline_and_blocks_no_later_reload(
    harness: FacadeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis_pulse.daemon.web_facade.READ_TIMEOUT", 0.05)
    released = threading.Event()
    harness.before_read = released.wait
    error = await harness.facade.reload()
    assert error is not None
    assert "took longer than" in error
    assert metric_value(harness.metrics, "redis_exporter_config_last_reload_successful") == 0
    harness.before_read = lambda: True
    monkeypatch.setattr("redis_pulse.daemon.web_facade.READ_TIMEOUT", 10)
    harness.next_config = loaded(target_settings())
    assert await harness.facade.reload() is None
    harness.next_config = loaded()
    released.set()  # the hung read ends now, and its result is ignored
    await asyncio.sleep(0.05)
    assert [view.name for view in harness.facade.targets()] == ["t"]


async def test_target_is_found_by_name_before_address(harness: FacadeHarness) -> None:
    confusing = target_settings("redis://127.0.0.1:2", name="127.0.0.1:1")
    await harness.facade.apply_config(loaded(target_settings("redis://127.0.0.1:1"), confusing))
    assert harness.facade.find("127.0.0.1:1") == "127.0.0.1:1"
    assert harness.facade.find("127.0.0.1:2") == "127.0.0.1:1"
    assert harness.facade.find("t") == "t"
    assert harness.facade.find("u") is None
    assert harness.facade.target("t").address == "127.0.0.1:1"
    with pytest.raises(KeyError):
        harness.facade.target("u")


async def test_target_without_a_homonym_is_found_by_its_address(harness: FacadeHarness) -> None:
    await harness.facade.apply_config(loaded(target_settings("redis://127.0.0.1:1")))
    assert harness.facade.find("127.0.0.1:1") == "t"


async def test_scrape_records_ages_and_teaches_the_planner(harness: FacadeHarness) -> None:
    async with FakeServer() as server:
        server.info = bulk("# Server\r\nredis_version:7.0.0\r\n# Memory\r\nused_memory:1024\r\n")
        await harness.facade.apply_config(loaded(target_settings(server.url, **QUICK)))
        await eventually(lambda: harness.facade.targets()[0].sample_age_seconds is not None)
        harness.facade.scraped(None, "10.0.0.1 x")
        harness.facade.scraped("t", "10.0.0.1 x")
    count = metric_value(harness.metrics, "redis_exporter_sample_age_at_scrape_seconds_count")
    assert count == 2
    assert list(harness.targets.planner._pages) == ["t"]
