"""Fakes of the HTTP interfaces of Prometheus and Alertmanager, for states that the real ones reach slowly or never."""

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Answers = dict[str, Any]


@contextmanager
def api(answers: Answers) -> Iterator[str]:
    """Yield the URL of a server that answers a path with JSON. A number is a status.

    A query of Prometheus is looked up by its expression.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(parts.query).get("query", [""])[0]
            self._answer(answers.get(query or parts.path, answers.get(parts.path)))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(answers.get(f"POST {self.path}"))

        def _answer(self, answer: Any) -> None:
            status = answer if isinstance(answer, int) else 404 if answer is None else 200
            body = json.dumps(answer).encode() if status == 200 else b"no"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
