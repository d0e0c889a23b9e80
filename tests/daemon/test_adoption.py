"""A scrape adopts a target: it waits for the first measurements, and a target that no scrape names is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from redis_pulse.config import AdoptRules, AdoptSettings, LoadedConfig, PollSettings, ProbeSettings, Settings
from redis_pulse.config.adopt_models import ScrapeSettings
from redis_pulse.web import MetricsFilter
from redis_pulse.web.query import QueryError
from tests.daemon.test_web_facade import FacadeHarness
from tests.fakes import FakeServer, ManualClock, bulk
from tests.harness import eventually, metric_value, target_settings

INFO = "# Server\r\nredis_version:7.0.0\r\n# Memory\r\nused_memory:1024\r\n# Replication\r\nrole:master\r\n"
REFUSED = "redis_exporter_adopt_refused_total"


def adopting(*declared: object, maximum: int = 100, allow: str = "127.0.0.0/8", enabled: bool = True) -> LoadedConfig:
    options = AdoptSettings(allow=(allow,), max=maximum)
    template = target_settings("redis://to-be-found", probe=ProbeSettings(interval=0.05), poll=PollSettings())
    rules = AdoptRules(options, template, {"prod": template}) if enabled else None
    return LoadedConfig(Settings(scrape=ScrapeSettings(adopt=options)), declared, adopt=rules)  # type: ignore[arg-type]


class AdoptionHarness(FacadeHarness):
    async def scrape(self, text: str, module: str | None = None, within: float = 5.0) -> str:
        """Do what the handler of /scrape does, and return the page."""
        known = self.facade.find(text)
        name = await self.facade.adoption.prepare(text, known, module, within)
        page = await self.facade.filtered_metrics(name, MetricsFilter(), openmetrics=False, gzip=False)
        return bytes(page).decode()

    @property
    def names(self) -> list[str]:
        return [monitored.target.name for monitored in self.targets]

    async def page(self) -> str:
        return bytes(await self.facade.metrics(openmetrics=False, gzip=False)).decode()


@pytest.fixture
async def harness() -> AsyncIterator[AdoptionHarness]:
    harness = AdoptionHarness()
    harness.scheduler.start()
    yield harness
    await harness.facade.stop()
    await harness.scheduler.stop(1)
    await harness.facade._target_sync.stop()
    await harness.targets.stop()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        server.info = bulk(INFO)
        yield server


def address(server: FakeServer) -> str:
    return f"127.0.0.1:{server.port}"


async def test_first_scrape_has_the_first_ping_and_the_first_poll(harness: AdoptionHarness, server: FakeServer) -> None:
    await harness.facade.apply_config(adopting())
    page = await harness.scrape(f"redis://{address(server)}")
    assert f'redis_up{{target="{address(server)}"}} 1\n' in page
    assert f'redis_memory_used_bytes{{target="{address(server)}"}} 1024\n' in page
    assert metric_value(harness.metrics, "redis_exporter_adopted_targets") == 1
    assert metric_value(harness.metrics, "redis_exporter_adopt_changes_total", change="added") == 1


async def test_server_that_is_down_gets_its_redis_up_of_0(harness: AdoptionHarness, server: FakeServer) -> None:
    await harness.facade.apply_config(adopting())
    page = await harness.scrape("127.0.0.1:1")
    assert 'redis_up{target="127.0.0.1:1"} 0\n' in page


async def test_ping_that_has_not_ended_is_no_page(harness: AdoptionHarness, server: FakeServer) -> None:
    """A page with ``redis_up 0`` would be a false alarm."""
    await harness.facade.apply_config(adopting())
    with pytest.raises(QueryError, match="has not ended in time") as caught:
        await harness.scrape(address(server), within=0.0)
    assert caught.value.status == 503
    assert "redis_up" in await harness.scrape(address(server))


async def test_adopted_targets_are_on_no_page_but_their_own(harness: AdoptionHarness, server: FakeServer) -> None:
    """Jobs for redis_exporter scrape /metrics too. All series would come twice."""
    other = target_settings("redis://127.0.0.1:2", name="own")
    await harness.facade.apply_config(adopting(other))
    await harness.scrape(address(server))
    page = await harness.page()
    assert 'target="own"' in page
    assert address(server) not in page
    assert [found.name for found in harness.facade.sd_targets()] == ["own"]
    assert {view.name: view.is_adopted for view in harness.facade.targets()} == {"own": False, address(server): True}
    assert [view.name for view in harness.facade.status.views()] == ["own", address(server)]
    [source] = harness.facade.status.own().sources
    assert (source.kind, source.targets) == ("adopted", 1)


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        *(("192.0.2.1:6379", 403, "not_allowed"), ("redis://u:hunter2@127.0.0.1", 400, "credentials")),
        *(("http://127.0.0.1", 400, "unreadable"), ("none.invalid:6379", 503, "unresolved")),
    ],
)
async def test_refusal_is_counted_by_reason_and_logged_once(
    harness: AdoptionHarness, text: str, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.facade.apply_config(adopting())
    for _ in range(3):
        with pytest.raises(QueryError) as caught:
            await harness.scrape(text)
        assert caught.value.status == status
        assert "hunter2" not in str(caught.value)
    assert metric_value(harness.metrics, REFUSED, reason=reason) == 3
    assert caplog.text.count("a scrape was refused") <= 1
    assert "hunter2" not in caplog.text
    assert harness.names == []


async def test_target_beyond_the_limit_gets_503_and_the_others_stay(harness: AdoptionHarness) -> None:
    await harness.facade.apply_config(adopting(maximum=2))
    for port in (1, 2):
        await harness.scrape(f"127.0.0.1:{port}")
    with pytest.raises(QueryError, match=r"2 targets are adopted already, which is scrape\.adopt\.max") as caught:
        await harness.scrape("127.0.0.1:3")
    assert caught.value.status == 503
    assert harness.names == ["127.0.0.1:1", "127.0.0.1:2"]
    assert metric_value(harness.metrics, REFUSED, reason="too_many") == 1


async def test_target_that_nobody_asks_for_is_forgotten(harness: AdoptionHarness) -> None:
    clock = ManualClock()
    harness.facade.adoption._adopted._clock = clock
    await harness.facade.apply_config(adopting())
    await harness.scrape("127.0.0.1:1")
    await harness.scrape("127.0.0.1:2")
    clock.advance(400)
    await harness.scrape("127.0.0.1:2")
    clock.advance(400)
    harness.facade.tick()
    await eventually(lambda: harness.names == ["127.0.0.1:2"])
    assert metric_value(harness.metrics, "redis_exporter_adopt_changes_total", change="forgotten") == 1


async def test_reload_keeps_the_connections_of_adopted_targets(harness: AdoptionHarness, server: FakeServer) -> None:
    await harness.facade.apply_config(adopting())
    await harness.scrape(address(server))
    before = harness.targets.get(address(server))
    await harness.facade.apply_config(adopting(target_settings("redis://127.0.0.1:2", name="own")))
    assert harness.names == ["own", address(server)]
    assert harness.targets.get(address(server)) is before
    await harness.facade.apply_config(adopting(enabled=False))
    assert harness.names == []


async def test_target_that_becomes_configured_is_watched_once(harness: AdoptionHarness, server: FakeServer) -> None:
    await harness.facade.apply_config(adopting())
    await harness.scrape(address(server))
    await harness.facade.apply_config(adopting(target_settings(server.url, name="cart")))
    assert harness.names == ["cart"]
    assert metric_value(harness.metrics, "redis_exporter_adopted_targets") == 0
    assert 'target="cart"' in await harness.scrape(address(server))
    assert 'target="cart"' in await harness.page()


async def test_configured_target_is_served_without_waiting(harness: AdoptionHarness) -> None:
    await harness.facade.apply_config(adopting(target_settings("redis://127.0.0.1:2", name="own")))
    assert 'target="own"' in await harness.scrape("own", within=0.0)


async def test_many_first_scrapes_share_the_changes(harness: AdoptionHarness) -> None:
    await harness.facade.apply_config(adopting())
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FakeServer()) for _ in range(40)]
        applied = 0
        original = harness.targets.apply

        async def apply(targets: object) -> object:
            nonlocal applied
            applied += 1
            return await original(targets)  # type: ignore[arg-type]

        harness.targets.apply = apply  # type: ignore[method-assign, assignment]
        pages = await asyncio.gather(*(harness.scrape(address(server), within=30) for server in servers * 2))
        assert all(" 1\n" in page for page in pages)
        assert applied <= 4
        assert len(harness.names) == 40


async def test_adopting_does_not_make_the_daemon_unready(harness: AdoptionHarness, server: FakeServer) -> None:
    """A kubelet would take the pod out of its service each time."""
    await harness.facade.apply_config(adopting())
    assert harness.facade.ready()
    task = asyncio.ensure_future(harness.scrape(address(server)))
    while not task.done():
        assert harness.facade.ready()
        await asyncio.sleep(0)
    await task


async def test_module_changes_only_when_the_first_is_no_longer_asked_for(
    harness: AdoptionHarness, server: FakeServer
) -> None:
    await harness.facade.apply_config(adopting())
    await harness.scrape(address(server))
    with pytest.raises(QueryError, match="is scraped without a module") as caught:
        await harness.scrape(address(server), "prod")
    assert caught.value.status == 400


async def test_reload_during_a_lookup_decides(harness: AdoptionHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request was allowed when it came, and is not when the answer of DNS arrives."""
    await harness.facade.apply_config(adopting())

    async def resolve(_name: str) -> list[str]:
        await harness.facade.apply_config(adopting(allow="10.0.0.0/8"))
        harness.facade.adoption._adopted.configure(None)
        return ["10.0.0.7"]

    monkeypatch.setattr(harness.facade.adoption._adopted, "_resolve", resolve)
    with pytest.raises(QueryError) as caught:
        await harness.scrape("name.example:6379")
    assert caught.value.status == 403
    assert harness.names == []


async def test_stop_ends_the_waiting(harness: AdoptionHarness) -> None:
    await harness.facade.apply_config(adopting())
    async with FakeServer() as server:
        server.hold()
        task = asyncio.ensure_future(harness.scrape(address(server), within=60))
        await eventually(lambda: bool(harness.names))
        await asyncio.sleep(0.1)
        harness.facade.adoption.stop()
        await asyncio.wait({task}, timeout=60)
        assert task.done()
        task.exception()
        server.release()
