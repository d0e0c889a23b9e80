"""The stalls of the demo: the daemon names their causes, and no server but the demo's own is ever stalled."""

import ast
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.demo import Demo
from redis_pulse.demo.servers import DemoServer
from redis_pulse.demo.stalls import EVERY, FIRST, LENGTH, StallMaker
from tests.integration.daemon import ROOT, Daemon
from tests.integration.prometheus import eventually
from tests.integration.servers import RealServer

PACKAGE = ROOT / "exporter" / "redis_pulse"
#: Commands by which the demo makes stalls, as INFO commandstats spells them.
STALLING = {"eval", "sunion", "sadd", "client|pause"}
NOWHERE = DemoServer("nowhere", 1, os.getpid())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class FailingMaker(StallMaker):
    """Records what it should do, and fails as it does for a server that is gone. It ends after some stalls."""

    def __init__(self) -> None:
        super().__init__(NOWHERE, self.pause)
        self.done: list[str | float] = []

    async def pause(self, seconds: float) -> None:
        self.done.append(seconds)

    async def make(self, cause: str) -> None:
        self.done.append(cause)
        if self.done.count("command") == 2:
            raise KeyboardInterrupt
        raise ConnectionRefusedError


async def test_causes_change_each_minute_also_if_the_server_is_gone() -> None:
    maker = FailingMaker()
    with pytest.raises(KeyboardInterrupt):
        await maker.run()
    pause = EVERY - LENGTH
    others = ["not_running", pause, "script", pause, "paused", pause]
    assert maker.done == [FIRST, "command", pause, *others, "command"]


def records(daemon: Daemon, target: str) -> list[dict[str, Any]]:
    return [record for record in daemon.json(f"/stalls?target={target}") if record["cause"] is not None]


@pytest.mark.integration
@pytest.mark.slow
async def test_each_stall_gets_the_cause_that_the_demo_made(stack: ExitStack, tmp_path: Path) -> None:
    demo = stack.enter_context(Demo(calm=True))
    primary, _ = demo.servers
    config = {
        "probe": {"interval": "500ms", "timeout": "1s"},
        "stalls": {"enabled": True},
        "targets": [{"name": "primary", "url": primary.url}],
    }
    daemon = stack.enter_context(Daemon(tmp_path / "daemon", config=config))
    daemon.wait_until_up()
    maker = StallMaker(primary)
    for cause in maker.stalls:
        time.sleep(3)  # snapshots of the time before
        seen = {record["id"] for record in records(daemon, "primary")}
        await maker.make(cause)

        def longest(seen: set[int] = seen) -> dict[str, Any] | None:
            """Return the longest new stall. A busy machine may add short ones."""
            new = [record for record in records(daemon, "primary") if record["id"] not in seen]
            return max((one for one in new if one["seconds"] > 0.4), key=lambda one: one["seconds"], default=None)

        record = eventually(longest, f"the stall has a cause: {cause}")
        assert record is not None
        assert record["cause"] in (cause, "unknown"), record


@pytest.mark.integration
@pytest.mark.slow
async def test_server_that_a_user_has_stopped_stays_stopped() -> None:
    with Demo(calm=True) as demo:
        primary, _ = demo.servers
        os.kill(primary.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await StallMaker(primary).make("not_running")
        state = Path(f"/proc/{primary.pid}/stat")
        if state.exists():
            assert ") T" in state.read_text()


def test_no_module_but_the_demo_can_make_stalls() -> None:
    """A daemon on a given server must never inject anything. Only the command ``demo`` imports the demo."""
    importers = set()
    for path in PACKAGE.rglob("*.py"):
        names = [
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        ]
        if any(name.startswith("redis_pulse.demo") for name in names):
            importers.add(path.relative_to(PACKAGE).as_posix())
    assert importers == {"cli.py", "demo/__init__.py", "demo/stalls.py"}


def test_only_one_function_of_the_command_line_imports_the_demo() -> None:
    tree = ast.parse((PACKAGE / "cli.py").read_text(encoding="utf-8"))
    functions = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and "redis_pulse.demo" in ast.dump(node, annotate_fields=False)
    ]
    assert functions == ["_demo"]


@pytest.mark.integration
@pytest.mark.slow
def test_given_server_beside_the_demo_is_never_stalled(stack: ExitStack, tmp_path: Path) -> None:
    """The demo stalls its own primary only, though the same daemon monitors another server too."""
    given = stack.enter_context(RealServer(tmp_path / "given", "valkey"))
    demo = stack.enter_context(
        Daemon(tmp_path / "daemon", "demo", config={"targets": [{"name": "given", "url": given.url}]})
    )
    eventually(lambda: records(demo, "primary"), "the demo has stalled its primary", FIRST + 30)
    used = {name.removeprefix("cmdstat_") for name in dict(given.run("INFO", "commandstats"))}
    assert "ping" in used
    assert not used & STALLING
