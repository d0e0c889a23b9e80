"""The pages for people are made once for all who ask at the same time, and in slices."""

import asyncio
import time

from starlette.requests import Request

from redis_pulse.slices import SharedTurns
from redis_pulse.web.status_handlers import StatusHandlers
from tests.web.fakes import FakeDaemon, client
from tests.web.pages.scenes import FakeStatus, thousand


async def test_page_of_many_targets_is_made_in_slices() -> None:
    """Other tasks get many turns while the page is made, whatever the speed of the machine."""
    handlers = StatusHandlers(FakeDaemon(status=FakeStatus(thousand())), "/metrics", SharedTurns())
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "server": ("x", 1)}
    began = time.thread_time()
    response = await handlers.index(Request({**scope, "scheme": "http"}))
    seconds = time.thread_time() - began
    counting.cancel()
    assert response.status_code == 200
    assert turns >= min(10, seconds / 0.02)


async def test_configuration_is_text_with_the_origin_of_each_value() -> None:
    async with client(FakeDaemon()) as http:
        response = await http.get("/config")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == "listen: :9121  # default\n"


async def test_description_of_the_interface_is_served() -> None:
    async with client(FakeDaemon()) as http:
        body = (await http.get("/api/v1/openapi.json")).json()
    assert "/api/v1/status" in body["paths"]
