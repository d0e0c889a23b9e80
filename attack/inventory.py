"""An HTTP inventory that can be hostile. It runs in a thread of the harness and replies with prepared bytes."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inventory:
    """Replies to every path with ``body``. It records the headers ``Authorization`` that it receives."""

    def __init__(self, *, drip: bool = False) -> None:
        self.body = b"[]"
        #: whether the reply is a header that never ends, one byte per second
        self.drips = drip
        self.authorizations: list[str] = []
        self.requests = 0
        inventory = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                inventory.requests += 1
                if (value := self.headers.get("Authorization")) is not None:
                    inventory.authorizations.append(value)
                with contextlib.suppress(OSError):
                    if inventory.drips:
                        self._drip()
                    else:
                        self.send_response(200)
                        self.send_header("Content-Type", "application/json")
                        self.send_header("Content-Length", str(len(inventory.body)))
                        self.end_headers()
                        self.wfile.write(inventory.body)

            def _drip(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while True:
                    self.wfile.write(b"a")
                    self.wfile.flush()
                    time.sleep(1)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The URL for the configuration of the daemon."""
        return f"http://127.0.0.1:{self.port}/targets"

    def close(self) -> None:
        """Stop accepting connections."""
        self._server.shutdown()
        self._server.server_close()
