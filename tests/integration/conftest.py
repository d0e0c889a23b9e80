"""Fixtures that start servers and daemons, and end them whatever becomes of the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import ALL, RealServer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered here is left, last first, when the test ends, so a server outlives the daemon that watches it."""
    with ExitStack() as everything:
        yield everything


@pytest.fixture
def start_server(stack: ExitStack, tmp_path: Path) -> Callable[..., RealServer]:
    """Start one more server: ``start_server("redis", maxclients="20")``."""
    count = iter(range(100))

    def start(software: str = "valkey", **config: Any) -> RealServer:
        return stack.enter_context(RealServer(tmp_path / f"{software}{next(count)}", software, **config))  # type: ignore[arg-type]

    return start


@pytest.fixture(params=ALL)
def software(request: pytest.FixtureRequest) -> str:
    """Each server software in turn."""
    return str(request.param)


@pytest.fixture
def server(software: str, start_server: Callable[..., RealServer]) -> RealServer:
    """A healthy server, once each of Valkey and Redis."""
    return start_server(software)


@pytest.fixture
def start_daemon(stack: ExitStack, tmp_path: Path) -> Callable[..., Daemon]:
    """Start a daemon and wait until it is healthy: ``start_daemon(config={"targets": […]})``.

    Its end is checked too: exit code 0 within 5 s of SIGTERM, a clean log.
    """
    count = iter(range(100))

    def start(*arguments: str, **settings: Any) -> Daemon:
        return stack.enter_context(Daemon(tmp_path / f"daemon{next(count)}", *arguments, **settings))

    return start


@pytest.fixture
def watch(start_daemon: Callable[..., Daemon]) -> Callable[..., Daemon]:
    """Start a daemon that watches one server: ``watch(server)``; target settings may be given (``url=…``)."""

    def start(server: RealServer, **target: Any) -> Daemon:
        return start_daemon(config={"targets": [{"name": "it", "url": server.url, **target}]})

    return start
