"""The fuzz target of the web server finds a page that fails, and reads many inputs to their end."""

import asyncio
from collections.abc import Iterator

import pytest

from fuzz.http import Server, make
from fuzz.inputs import Chooser
from tests.web.fakes import FakeDaemon

METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    # A task that outlives its loop ends at some later collection of garbage, and uvicorn logs that in another test.
    while tasks := asyncio.all_tasks(made):
        for task in tasks:
            task.cancel()
        made.run_until_complete(asyncio.wait(tasks, timeout=0.1))
    made.close()


def test_page_that_fails_is_a_finding(loop: asyncio.AbstractEventLoop) -> None:
    server = Server(loop, FakeDaemon(failure=RuntimeError("made up")))
    with pytest.raises(AssertionError, match="a page failed"):
        server.read([METRICS])


def test_request_that_never_ends_is_a_finding(loop: asyncio.AbstractEventLoop) -> None:
    server = Server(loop, Stubborn())
    with pytest.raises(AssertionError, match="does not end"):
        server.read([METRICS])


class Stubborn(FakeDaemon):
    """Goes on with a page although its client has left."""

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes:
        for _ in range(1000):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                continue
        return b""


def test_most_inputs_get_a_response(loop: asyncio.AbstractEventLoop) -> None:
    """Otherwise the target would test the first lines of the parser only."""
    daemon = FakeDaemon()
    server, paths = Server(loop, daemon), set()
    for seed in range(300):
        server.read(make(Chooser(seed)))
        paths |= {path for path, _, _ in daemon.requests}
    assert len(paths) >= 12
