"""Targets that cannot be opened, moved or closed affect no other target. The failed step is retried."""

import asyncio
from typing import Any

import pytest

from redis_pulse.client import TargetClient
from redis_pulse.config import TargetSettings
from redis_pulse.daemon import target_manager, target_shutdown
from redis_pulse.web import PendingChange
from tests.daemon.conftest import ManagerHarness, target
from tests.fakes import FakeServer
from tests.harness import all_samples, eventually, metric_value


class BrokenClose:
    """Makes ``aclose`` of a client raise an error, or hang for no error, until it is repaired."""

    def __init__(self, client: TargetClient, error: Exception | None) -> None:
        self.calls = 0
        self._close = client.aclose
        self._error: Exception | None = error
        self._hangs = error is None
        client.aclose = self.aclose  # type: ignore[method-assign]

    def repair(self) -> None:
        self._error, self._hangs = None, False

    async def aclose(self) -> None:
        self.calls += 1
        if self._hangs:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        await self._close()


def failures(manager: ManagerHarness, step: str) -> float:
    return metric_value(manager.metrics, "redis_exporter_target_apply_failures_total", step=step)


@pytest.mark.parametrize("error", [TimeoutError("Timed out closing connection"), RuntimeError("a fault"), None])
@pytest.mark.parametrize("change", ["removed", "moved"])
async def test_target_that_cannot_be_closed_affects_no_other(
    manager: ManagerHarness,
    server: FakeServer,
    error: Exception | None,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as a TLS server that hangs. Other targets are still added, removed and moved."""
    monkeypatch.setattr(target_shutdown, "CLOSE_TIMEOUT", 0.2)
    probe = {"interval": 0.05, "timeout": 1}
    async with FakeServer() as other:
        await manager.targets.apply([target(name, server.url, probe=probe) for name in ("bad", "moves")])
        await eventually(lambda: manager.up("bad") == 1 and manager.up("moves") == 1)
        bad = manager.targets.get("bad")
        assert bad is not None
        broken = BrokenClose(bad.client, error)
        kept = [target("bad", other.url, probe=probe)] if change == "moved" else []
        wanted = [*kept, target("moves", other.url, probe=probe), target("new", other.url, probe=probe)]
        async with asyncio.timeout(30):  # the broken close never ends
            await manager.targets.apply(wanted)
        assert [monitored.target.name for monitored in manager.targets] == [each.name for each in wanted]
        await eventually(lambda: all(manager.up(each.name) == 1 for each in wanted))
        await eventually(lambda: failures(manager, "close") >= 1 and bool(manager.targets.pending))
        assert ("bad", "close") in {(pending.target, pending.step) for pending in manager.targets.pending}
        names = {sample.labels.get("target") for sample in all_samples(manager.metrics)}
        assert ("bad" in names) is (change == "moved")
        await eventually(lambda: (manager.store.age("bad", "info") is None) is (change == "removed"))  # the first poll
        broken.repair()
        await eventually(lambda: not manager.targets.pending)
        await eventually(lambda: server.connected == 0)
        await manager.targets.apply([])


@pytest.mark.parametrize("step", ["open", "move"])
async def test_target_that_cannot_be_opened_affects_no_other_and_is_retried(
    manager: ManagerHarness,
    server: FakeServer,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The retry comes although the list of targets stays the same."""
    probe = {"interval": 0.05, "timeout": 1}
    is_repaired = False
    make = TargetClient

    def fail(target: TargetSettings, *arguments: Any, **more: Any) -> TargetClient:
        if target.name == "bad" and not is_repaired and target.address != "127.0.0.1:1":
            raise RuntimeError("it cannot be opened: secret")
        return make(target, *arguments, **more)

    monkeypatch.setattr(target_manager, "TargetClient", fail)
    if step == "move":
        await manager.targets.apply([target("bad", probe=probe)])
        await eventually(lambda: manager.pings >= 2)
    pings = manager.pings
    wanted = [target("bad", server.url, probe=probe), target("good", server.url, probe=probe)]
    change = await manager.targets.apply(wanted)
    assert [added.name for added in change.added] == ["good"]
    await eventually(lambda: manager.up("good") == 1)
    assert manager.targets.pending == [PendingChange("bad", step, "RuntimeError")]
    names = {sample.labels.get("target") for sample in all_samples(manager.metrics)}
    assert ("bad" in names) is (step == "move"), "a target that cannot be opened has no series"
    await eventually(lambda: failures(manager, step) >= 3)
    assert len([line for line in caplog.messages if "a change of a target failed" in line]) == 1, (
        "one line for each reason"
    )
    is_repaired = True
    await eventually(lambda: manager.up("bad") == 1)
    assert manager.targets.pending == []
    assert manager.pings >= pings
    assert [monitored.target.name for monitored in manager.targets] == ["bad", "good"]


async def test_failed_target_that_is_no_longer_wanted_is_not_pending(
    manager: ManagerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> TargetClient:
        raise RuntimeError("it cannot be opened")

    monkeypatch.setattr(target_manager, "TargetClient", fail)
    await manager.targets.apply([target("bad")])
    assert manager.targets.pending
    await manager.targets.apply([])
    assert manager.targets.pending == []


async def test_target_that_cannot_be_scheduled_is_removed_and_retried(
    manager: ManagerHarness, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change failed half-way, so nothing pings the target any more, and nothing may be left of it."""
    await manager.targets.apply([target("a", server.url)])
    add_poll = manager.scheduler.add_poll

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("not scheduled")

    monkeypatch.setattr(manager.scheduler, "add_poll", fail)
    async with FakeServer() as other:
        await manager.targets.apply([target("a", other.url)])
        assert len(manager.targets) == 0
        assert "a" not in {sample.labels.get("target") for sample in all_samples(manager.metrics)}
        monkeypatch.setattr(manager.scheduler, "add_poll", add_poll)
        await eventually(lambda: len(manager.targets) == 1)
        assert manager.targets.pending == []
        await manager.targets.apply([])


async def test_stopping_does_not_wait_for_targets_that_cannot_be_closed(
    manager: ManagerHarness, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_shutdown, "STOP_TIMEOUT", 0.05)
    await manager.targets.apply(
        [
            target(name, server.url, probe={"interval": 0.05}, stalls={"enabled": False})
            for name in ("good", "bad", "worse")
        ]
    )
    await eventually(lambda: all(manager.up(name) == 1 for name in ("good", "bad", "worse")))
    broken = []
    for name, error in (("bad", None), ("worse", RuntimeError("a fault"))):
        monitored = manager.targets.get(name)
        assert monitored is not None
        broken.append(BrokenClose(monitored.client, error))
    await manager.scheduler.stop(1)
    async with asyncio.timeout(30):  # the broken close never ends
        await manager.targets.stop()
    await eventually(lambda: server.connected <= 2)
    for close in broken:
        assert close.calls == 1
        close.repair()
        await close.aclose()
