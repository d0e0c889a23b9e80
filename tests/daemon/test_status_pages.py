"""The pages show what the daemon knows: the states of targets, their details, and the exporter itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from redis_pulse.config import ConfigError, EffectiveValue, LoadedConfig, Problem, Settings
from redis_pulse.daemon.status_pages import OwnHistory
from redis_pulse.web import StatusView
from tests.daemon.test_web_facade import QUICK, FacadeHarness, loaded
from tests.fakes import FakeServer, bulk
from tests.harness import eventually, target_settings

INFO = bulk(
    "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\nuptime_in_seconds:50\r\n"
    "# Memory\r\nused_memory:97\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n"
    "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n"
)


@pytest.fixture
async def harness() -> AsyncIterator[FacadeHarness]:
    harness = FacadeHarness()
    harness.scheduler.start()
    yield harness
    await harness.scheduler.stop(1)
    await harness.targets.stop()


def view(harness: FacadeHarness) -> StatusView:
    (only,) = harness.facade.status.views()
    return only


async def test_target_is_starting_then_at_risk_then_down(harness: FacadeHarness) -> None:
    server = FakeServer()
    async with server:
        server.info = INFO
        await harness.facade.apply_config(loaded(target_settings(server.url, **QUICK)))
        assert view(harness).state == "starting"
        await eventually(lambda: view(harness).state == "risk")
        shown = view(harness)
        assert [risk.key for risk in shown.risks] == ["memory"]
        assert (shown.memory, shown.role) == (0.97, "slave")
        await eventually(lambda: view(harness).hour.count > 0)
    await eventually(lambda: view(harness).state == "down")
    assert view(harness).reason in ("refused", "reset")
    events = [event.state for event in harness.facade.status.events(0) if event.state]
    assert {"down", "risk"} <= set(events)


async def test_details_have_collectors_replication_and_numbers(harness: FacadeHarness) -> None:
    async with FakeServer() as server:
        server.info = INFO
        await harness.facade.apply_config(loaded(target_settings(server.url, **QUICK)))
        name = harness.facade.target_names()[0]
        await eventually(lambda: bool(harness.facade.status.details(name).numbers))
        await eventually(lambda: harness.facade.status.details(name).connected_since is not None)
        details = harness.facade.status.details(name)
        assert details.replication.master == "10.0.0.1:6379"
        assert details.replication.link_up is True
        assert details.policy == "noeviction"
        assert details.numbers["redis_uptime_in_seconds"] == 50
        assert {one.name: one.outcome for one in details.collectors}["info"] == "ok"
        assert {one.outcome for one in details.collectors} <= {"ok", "failing", "denied", "unsupported"}


async def test_unknown_target_is_an_error(harness: FacadeHarness) -> None:
    for call in (harness.facade.status.view, harness.facade.status.details):
        with pytest.raises(KeyError):
            call("nobody")


async def test_removed_target_is_gone_with_its_history(harness: FacadeHarness) -> None:
    async with FakeServer() as server:
        await harness.facade.apply_config(loaded(target_settings(server.url, **QUICK)))
        await harness.facade.apply_config(loaded())
    assert list(harness.facade.status.views()) == []
    assert [event.target for event in harness.facade.status.events(0) if event.target] == []


async def test_reload_keeps_the_history_of_a_target_whose_settings_change(harness: FacadeHarness) -> None:
    async with FakeServer() as server:
        await harness.facade.apply_config(loaded(target_settings(server.url, **QUICK)))
        await eventually(lambda: view(harness).hour.count > 3)
        hour = view(harness).hour
        await harness.facade.apply_config(loaded(target_settings(server.url, slo={"latency": 0.5}, **QUICK)))
        assert view(harness).hour is hour
        assert view(harness).objective == 0.5


async def test_refused_reload_is_shown_until_one_succeeds(harness: FacadeHarness) -> None:
    values = (EffectiveValue("listen", ":9121", "default"),)
    await harness.facade.apply_config(LoadedConfig(Settings(), (), effective=values, file="redis-pulse.yaml"))
    harness.next_config = ConfigError([Problem("redis-pulse.yaml:3: probe.intervall", "is not a setting")])
    assert await harness.facade.reload() is not None
    own = harness.facade.status.own()
    assert (own.problem, own.file) == ("redis-pulse.yaml:3: probe.intervall is not a setting", "redis-pulse.yaml")
    assert own.refused_at is not None
    assert harness.facade.status.configuration() == values
    harness.next_config = loaded()
    assert await harness.facade.reload() is None
    assert harness.facade.status.own().refused_at is None
    kinds = [event.text.partition(":")[0] for event in harness.facade.status.events(0)]
    assert kinds == ["a configuration was taken over", "a reload was refused", "a configuration was taken over"]


async def test_scrape_is_remembered_with_its_size(harness: FacadeHarness) -> None:
    assert harness.facade.status.own().scraped is None
    page = await harness.facade.metrics(openmetrics=False, gzip=False)
    scraped = harness.facade.status.own().scraped
    assert scraped is not None
    assert scraped[1] == page.size
    await asyncio.sleep(0)


def test_delays_and_late_pings_of_an_hour_ago_are_forgotten() -> None:
    now = 60_000.0
    own = OwnHistory(lambda: now, lambda: True)
    own.lag(0.5)
    own.missed(3)
    own.missed(4)
    assert (own.late_pings, round(own.max_lag or 0, 2)) == (7, 0.5)
    now += 1800
    own.missed(1)
    own.lag(0.1)
    assert own.late_pings == 8
    now += 1860
    own.lag(0.01)
    assert (own.late_pings, round(own.max_lag or 0, 2)) == (1, 0.1)
