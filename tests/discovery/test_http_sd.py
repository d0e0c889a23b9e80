"""The response of a URL becomes targets; every request is bounded, and its token goes to no other server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from redis_pulse.blocking import HTTP_REQUESTS
from redis_pulse.config import HttpSourceSettings
from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.http_sd import HttpSource
from tests.discovery.context import RecordingContext, source_of
from tests.harness import eventually


class Inventory(ThreadingHTTPServer):
    """Sends the response that the test sets, and records the headers of requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = b'[{"targets": ["10.0.0.1"]}]'
        self.location = ""
        #: a response waits until this event is set
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/redis?token=hunter2"


class _Handler(BaseHTTPRequestHandler):
    server: Inventory

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        self.server.gate.wait(20)
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
        server.gate.set()
        server.shutdown()
        thread.join()


def make_source(url: str, **values: object) -> HttpSource:
    options = HttpSourceSettings.model_validate({"url": url, **values})
    return HttpSource(source_of("http", "inventory", options), options, RecordingContext().build())


async def test_response_becomes_targets(inventory: Inventory) -> None:
    assert [target.name for target in await make_source(inventory.url).refresh()] == ["10.0.0.1:6379"]
    (headers,) = inventory.requests
    assert headers["X-Prometheus-Refresh-Interval-Seconds"] == "30"
    assert headers["User-Agent"].startswith("redis-pulse/")
    assert "Authorization" not in headers


async def test_token_is_read_again_for_each_request(inventory: Inventory, tmp_path: Path) -> None:
    token = tmp_path / "token"
    source = make_source(inventory.url, bearer_token_file=token)
    for text in ("first\n", "second\n"):
        token.write_text(text)
        await source.refresh()
    assert [headers["Authorization"] for headers in inventory.requests] == ["Bearer first", "Bearer second"]
    token.unlink()
    with pytest.raises(DiscoveryError, match="bearer_token_file cannot be read"):
        await source.refresh()


async def test_redirect_is_not_followed(inventory: Inventory) -> None:
    inventory.status, inventory.location = 302, "http://169.254.169.254/"
    with pytest.raises(DiscoveryError, match="the response was 302: a redirect, which is not followed"):
        await make_source(inventory.url).refresh()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"", "the response was 500: Internal Server Error"),
        (200, b"<html>hunter2", "the response is not valid JSON, at line 1"),
        (200, b'{"targets": []}', "the response must be a list of groups"),
        (200, b"\xff", "the response is not UTF-8 text"),
    ],
)
async def test_invalid_response_is_an_error_with_the_reason(
    inventory: Inventory, status: int, body: bytes, message: str
) -> None:
    inventory.status, inventory.body = status, body
    with pytest.raises(DiscoveryError) as error:
        await make_source(inventory.url).refresh()
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)


async def test_response_above_max_bytes_is_an_error(inventory: Inventory) -> None:
    inventory.body = b" " * 1_000_000
    with pytest.raises(DiscoveryError, match="longer than max_bytes, 1000"):
        await make_source(inventory.url, max_bytes=1000).refresh()


async def test_hanging_server_is_an_error_after_the_timeout(inventory: Inventory) -> None:
    inventory.gate.clear()
    with pytest.raises(DiscoveryError, match="no response in time"):
        await make_source(inventory.url, timeout=0.2).refresh()


async def test_refused_connection_is_an_error_without_the_url() -> None:
    with pytest.raises(DiscoveryError, match="the request failed: Connection refused") as error:
        await make_source("http://127.0.0.1:1/?token=hunter2").refresh()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("content", ["TOPSECRET-1\nTOPSECRET-2\n", "TOP SECRET", "TOPSECRET\x00", "TÖPSECRET", ""])
async def test_token_that_is_not_one_line_is_refused_without_being_shown(
    inventory: Inventory, tmp_path: Path, content: str
) -> None:
    """Attack H5: the token stood in the log, as part of an exception."""
    token = tmp_path / "token"
    token.write_text(content)
    with pytest.raises(DiscoveryError, match=r"bearer_token_file (is not one line|names an empty file)") as caught:
        await make_source(inventory.url, bearer_token_file=token).refresh()
    assert "SECRET" not in str(caught.value)
    assert inventory.requests == []


async def test_proxy_of_the_environment_does_not_receive_the_token(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack L11."""
    token = tmp_path / "token"
    token.write_text("PROXYTOKEN")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{inventory.server_port}")
    with pytest.raises(DiscoveryError):
        await make_source("http://127.0.0.1:1/redis", bearer_token_file=token).refresh()
    assert inventory.requests == []


async def test_response_that_drips_ends_at_the_deadline_with_its_thread(tmp_path: Path) -> None:
    """Attack H6: a header of one byte a second kept a thread for hours."""
    released = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not released.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        source = make_source(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout="300ms")
        with pytest.raises((DiscoveryError, OSError), match=r"in time|no answer"):
            await source.refresh()
        try:
            await eventually(lambda: HTTP_REQUESTS.threads == 0)
        finally:
            released.set()
            thread.join()
