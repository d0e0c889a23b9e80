"""Fixtures that start servers and daemons, and stop them whatever the result of the test."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import ALL, RealServer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Exits all contexts at the end of the test, the newest first. So a server outlives the daemon that monitors it."""
    with ExitStack() as exit_stack:
        yield exit_stack


@pytest.fixture
def start_server(stack: ExitStack, tmp_path: Path) -> Callable[..., RealServer]:
    """Start another server: ``start_server("redis", maxclients="20")``."""
    numbers = itertools.count()

    def start(software: str = "valkey", **config: Any) -> RealServer:
        return stack.enter_context(RealServer(tmp_path / f"{software}{next(numbers)}", software, **config))  # type: ignore[arg-type]

    return start


@pytest.fixture(params=ALL)
def software(request: pytest.FixtureRequest) -> str:
    """Each server software in turn."""
    return str(request.param)


@pytest.fixture
def server(software: str, start_server: Callable[..., RealServer]) -> RealServer:
    """A healthy server, once Valkey and once Redis."""
    return start_server(software)


@pytest.fixture
def start_daemon(stack: ExitStack, tmp_path: Path) -> Callable[..., Daemon]:
    """Start a daemon and wait until it is healthy: ``start_daemon(config={"targets": […]})``.

    At the end it must exit with code 0 within 5 s of SIGTERM, and its log must be clean.
    """
    numbers = itertools.count()

    def start(*arguments: str, **settings: Any) -> Daemon:
        return stack.enter_context(Daemon(tmp_path / f"daemon{next(numbers)}", *arguments, **settings))

    return start


@pytest.fixture
def watch(start_daemon: Callable[..., Daemon]) -> Callable[..., Daemon]:
    """Start a daemon that monitors one server: ``watch(server)``. Keywords (``url=…``) are settings of the target."""

    def start(server: RealServer, **target: Any) -> Daemon:
        return start_daemon(config={"targets": [{"name": "it", "url": server.url, **target}]})

    return start
