"""A server that sends an endless reply fails its own polls, and does not exhaust memory."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.daemon import Daemon

#: It uses all cores.
pytestmark = pytest.mark.alone
INFO = b"# Server\r\nredis_version:7.0.15\r\n"
MB = 1024**2
#: The start of a reply, and the data that is repeated after it.
ENDLESS = {
    "a string": (b"$1999999999\r\n", b"x" * 65536),
    "a list": (b"*1999999999\r\n", b":1\r\n" * 16384),
    "a list within the limit": (b"*200000\r\n", b"$60000\r\n" + b"x" * 60000 + b"\r\n"),
    "lists in lists": (b"*1\r\n", b"*1\r\n" * 16384),
    "a line": (b"+", b"x" * 65536),
}


class Server(socketserver.ThreadingTCPServer):
    """Replies to PING, CLIENT SETNAME and INFO. With ``endless``, the reply to INFO has no end."""

    daemon_threads = True
    allow_reuse_address = True
    endless: tuple[bytes, bytes] | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Connection(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        assert isinstance(self.server, Server)
        with suppress(OSError):
            while line := self.rfile.readline():
                words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
                if words[0] == b"PING":
                    word = words[1] if len(words) > 1 else None
                    self.wfile.write(b"+PONG\r\n" if word is None else b"$%d\r\n%b\r\n" % (len(word), word))
                elif words[0] == b"CLIENT":
                    self.wfile.write(b"+OK\r\n")
                elif self.server.endless is None:
                    self.wfile.write(b"$%d\r\n%b\r\n" % (len(INFO), INFO) if words[0] == b"INFO" else b"*0\r\n")
                else:
                    self._send_endless(*self.server.endless)

    def _send_endless(self, first: bytes, rest: bytes) -> None:
        self.wfile.write(first)
        while True:
            self.wfile.write(rest)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Connection) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def memory(pid: int, what: str) -> int:
    """Return bytes of memory: ``VmRSS`` is the current value, ``VmHWM`` the maximum so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(what))


@pytest.mark.parametrize("how", ENDLESS)
def test_endless_reply_takes_no_memory_and_harms_no_ping(how: str, server: Server, tmp_path: Path) -> None:
    target = {"name": "cart", "url": f"redis://127.0.0.1:{server.port}", "collectors": ["info"]}
    with Daemon(tmp_path, config={"targets": [target]}) as daemon:
        daemon.wait_for(lambda page: page.value("redis_collector_success", target="cart", collector="info") == 1)
        normal = memory(daemon.pid, "VmRSS")
        server.endless = ENDLESS[how]
        runs = daemon.page().operations("info") + 3
        daemon.wait_for(lambda page: page.has_failed("info", "too_large", runs))
        if how == "a string":
            assert "a reply of 1999999999 bytes or more, which is larger than poll.max_reply" in daemon.log
        assert memory(daemon.pid, "VmHWM") < normal + 64 * MB
        page = daemon.page()
        assert page.up("cart") == 1
        assert page.value("redis_collector_success", target="cart", collector="info") == 0
