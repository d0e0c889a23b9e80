"""A URL lists targets; whatever it answers, the question is bounded, and a token goes nowhere else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from redis_pulse.config import HttpSourceSettings
from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.http_sd import HttpSource
from tests.discovery.context import RecordingContext, source_of


class Inventory(ThreadingHTTPServer):
    """Answers what it is told to, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status = 200
        self.body = b'[{"targets": ["10.0.0.1"]}]'
        self.location = ""
        self.hang = threading.Event()
        self.hang.set()
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/redis?token=hunter2"


class _Answers(BaseHTTPRequestHandler):
    server: Inventory

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        self.server.hang.wait(20)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    with Inventory() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.hang.set()
        server.shutdown()
        thread.join()


def source(url: str, **options: object) -> HttpSource:
    made = HttpSourceSettings.model_validate({"url": url, **options})
    return HttpSource(source_of("http", "inventory", made), RecordingContext().build())


async def test_what_the_answer_lists_are_targets(inventory: Inventory) -> None:
    assert [one.name for one in await source(inventory.url).refresh()] == ["10.0.0.1:6379"]
    (asked,) = inventory.asked
    assert asked["X-Prometheus-Refresh-Interval-Seconds"] == "30"
    assert asked["User-Agent"].startswith("redis-pulse/")
    assert "Authorization" not in asked


async def test_the_token_is_read_anew_for_every_question(inventory: Inventory, tmp_path: Path) -> None:
    token = tmp_path / "token"
    found = source(inventory.url, bearer_token_file=token)
    for text in ("first\n", "second\n"):
        token.write_text(text)
        await found.refresh()
    assert [asked["Authorization"] for asked in inventory.asked] == ["Bearer first", "Bearer second"]
    token.unlink()
    with pytest.raises(DiscoveryError, match="bearer_token_file cannot be read"):
        await found.refresh()


async def test_a_redirect_is_not_followed(inventory: Inventory) -> None:
    inventory.status, inventory.location = 302, "http://169.254.169.254/"
    with pytest.raises(DiscoveryError, match="the answer was 302: a redirect, which is not followed"):
        await source(inventory.url).refresh()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, b"", "the answer was 500: Internal Server Error"),
        (200, b"<html>hunter2", "the answer is not valid JSON, at line 1"),
        (200, b'{"targets": []}', "the answer must be a list of groups"),
        (200, b"\xff", "the answer is not UTF-8 text"),
    ],
)
async def test_an_answer_that_is_no_list_says_why(inventory: Inventory, status: int, body: bytes, says: str) -> None:
    inventory.status, inventory.body = status, body
    with pytest.raises(DiscoveryError) as failed:
        await source(inventory.url).refresh()
    assert says in str(failed.value)
    assert "hunter2" not in str(failed.value)


async def test_a_long_answer_is_cut_off(inventory: Inventory) -> None:
    inventory.body = b" " * 1_000_000
    with pytest.raises(DiscoveryError, match="longer than max_bytes, 1000"):
        await source(inventory.url, max_bytes=1000).refresh()


async def test_a_server_that_hangs_costs_no_more_than_the_timeout(inventory: Inventory) -> None:
    inventory.hang.clear()
    with pytest.raises(DiscoveryError, match="no answer in time"):
        await source(inventory.url, timeout=0.2).refresh()


async def test_a_server_that_is_not_there_is_an_error_without_the_url() -> None:
    with pytest.raises(DiscoveryError, match="cannot be asked: Connection refused") as failed:
        await source("http://127.0.0.1:1/?token=hunter2").refresh()
    assert "hunter2" not in str(failed.value)
