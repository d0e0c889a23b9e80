"""The daemon under attack, its good targets, a control daemon, and the helpers that rows use."""

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt

from attack.inventory import Inventory
from attack.machine import DelayOf
from attack.rules import Wait
from chaos.certificates import Authority
from chaos.daemon import Daemon
from chaos.page import Page
from chaos.processes import killed_with_parent
from chaos.servers import Server

ROOT = Path(__file__).parents[1]
#: Seconds between two pings, and two polls. A poll may take as long as its interval.
PROBE_INTERVAL, POLL_INTERVAL = 1.0, 4.0
#: Seconds for all good targets to be up.
WARM_UP = 60.0
#: Targets of the control daemon.
CONTROL_TARGETS = 5
#: Seconds between two scrapes, and the timeout of one: the default of Prometheus.
SCRAPE_INTERVAL, SCRAPE_TIMEOUT = 1.0, 10.0
#: Seconds for a scrape on a busy machine. Its delays are subtracted afterwards.
MAX_SCRAPE = 60.0


class Helper:
    """A process of the harness that is controlled through its input."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            killed_with_parent([sys.executable, "-m", *arguments]),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def read_line(self) -> str:
        """Return the next line of its output."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def begin(self) -> None:
        """Send the line that makes it hostile."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def end(self) -> str:
        """Close its input, and return the rest of its output."""
        try:
            return self._process.communicate(timeout=40)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.communicate()[0]

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()


@dataclass
class Shared:
    """What all rows of a run share: the interpreter, the good targets, and the control daemon."""

    folder: Path
    python: Path
    checkout: Path | None
    ports: list[int]
    control: Daemon

    @property
    def good(self) -> list[dict[str, str]]:
        """The entries of the good targets in a configuration."""
        return [{"name": f"g{number}", "url": f"redis://127.0.0.1:{port}"} for number, port in enumerate(self.ports)]


@contextlib.contextmanager
def shared(folder: Path, python: Path, checkout: Path | None, targets: int) -> Iterator[Shared]:
    """Start the good targets and the control daemon."""
    with ExitStack() as stack:
        real = Server(folder / "valkey", "valkey")
        stack.callback(real.kill)
        real.start()
        for number in range(100):
            real.run("SET", f"user:{number}", "x")
        good = Helper("tests.integration.echo_server", "--ports", str(targets), "--behind", str(real.port))
        stack.callback(good.kill)
        ports = json.loads(good.read_line())["ports"]
        config = folder / "control.yaml"
        entries = [{"name": f"g{number}", "url": f"redis://127.0.0.1:{port}"} for number, port in enumerate(ports)]
        config.write_text(json.dumps({**_settings(), "targets": entries[:CONTROL_TARGETS]}))
        (folder / "control").mkdir()
        control = Daemon(checkout, folder / "control", config, None, python=str(python))
        stack.callback(control.kill)
        control.start()
        yield Shared(folder, python, checkout, ports, control)


def _settings() -> dict[str, Any]:
    return {
        "probe": {"interval": PROBE_INTERVAL, "timeout": 1.0},
        "poll": {"interval": POLL_INTERVAL, "timeout": POLL_INTERVAL},
    }


class World:
    """One row: a new daemon with the good targets, and what the row adds."""

    def __init__(self, of: Shared, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.shared, self.folder = of, folder
        self.stack = ExitStack()
        self.config: dict[str, Any] = {**_settings(), "targets": list(of.good)}
        #: what no output may contain
        self.secrets: list[str] = []
        #: what a row remembers between its steps
        self.notes: dict[str, Any] = {}
        self.daemon = Daemon(of.checkout, folder, folder / "redis-pulse.yaml", None, python=str(of.python))
        self.helpers: list[Helper] = []
        #: the authority of the certificate of the port, if it has TLS
        self.ca_file = ""
        #: the idle daemon that shows how busy the machine is
        self.control = of.control

    # What rows add

    def hostile(self, kind: str, **settings: Any) -> int:
        """Start a hostile server, add it as the target ``bad``, and return its port."""
        port = self.hostile_port(kind)
        self.config["targets"].append({"name": "bad", "url": f"redis://127.0.0.1:{port}", **settings})
        return port

    def hostile_port(self, kind: str) -> int:
        """Start a hostile server that is no target yet. Return its port."""
        helper = self.helper("attack.hostile", kind)
        return int(helper.read_line())

    def helper(self, *arguments: str) -> Helper:
        """Start a process of the harness. It begins with the attack, and ends with the row."""
        helper = Helper(*arguments)
        self.stack.callback(helper.kill)
        self.helpers.append(helper)
        return helper

    def clients(self, kind: str) -> None:
        """Start hostile clients of the port."""
        self.helper("attack.clients", kind, str(self.daemon.port))

    def inventory(self, *, drip: bool = False) -> Inventory:
        """Start an inventory, which lists nothing."""
        inventory = Inventory(drip=drip)
        self.stack.callback(inventory.close)
        return inventory

    def real(self, name: str = "real", **directives: str) -> Server:
        """Start a real Redis server."""
        server = Server(self.folder / name, "redis")
        server.directives |= {key.replace("_", "-"): value for key, value in directives.items()}
        server.password = directives.get("requirepass", "")
        self.stack.callback(server.kill)
        server.start()
        return server

    def secured(self) -> None:
        """Give the port TLS and a login. The scraper has the right one. ``/-/healthy`` needs none."""
        authority = Authority(self.folder / "web")
        password = "PAGE-PASSWORD-S3K"
        self.secrets.append(password)
        web = {
            "tls_server_config": {"cert_file": str(authority.cert_file), "key_file": str(authority.key_file)},
            "basic_auth_users": {"prometheus": bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()},
        }
        path = self.write("web-config.yaml", json.dumps(web))
        self.config["web"] = {"config_file": str(path), "open_probes": True}
        self.ca_file = str(authority.ca_file)
        self.daemon.tls = ssl.create_default_context(cafile=self.ca_file)
        login = base64.b64encode(f"prometheus:{password}".encode()).decode()
        self.daemon.headers["Authorization"] = f"Basic {login}"
        # A request through TLS waits for more turns of the machine. So the control daemon has TLS too.
        config = self.write("control.yaml", json.dumps({**self.config, "targets": self.shared.good[:CONTROL_TARGETS]}))
        (self.folder / "control").mkdir()
        self.control = Daemon(
            self.shared.checkout, self.folder / "control", config, None, python=str(self.shared.python)
        )
        self.control.tls = self.daemon.tls
        self.stack.callback(self.control.kill)
        self.control.start()

    def discovery(self, **sources: Any) -> None:
        """Add settings of the group ``discovery``."""
        self.config.setdefault("discovery", {}).update(sources)

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file of the row, and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def write_config(self) -> None:
        """Write the configuration of the daemon."""
        path = self.folder / ".new.yaml"
        path.write_text(json.dumps(self.config, indent=1))
        path.replace(self.folder / "redis-pulse.yaml")

    def run_command(self, *arguments: str, timeout: float = 20.0) -> "subprocess.CompletedProcess[str] | None":
        """Run ``redis-pulse`` with these arguments. Return None if it did not end in time."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        if self.shared.checkout is not None:
            env["PYTHONPATH"] = str(self.shared.checkout / "exporter")
        command = [str(self.shared.python), "-m", "redis_pulse", *arguments]
        try:
            return subprocess.run(
                command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return None

    # What rows ask

    def raw(self, request: bytes, timeout: float = 10.0) -> tuple[int, str]:
        """Send bytes to the port. Return the status and the whole response."""
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=timeout) as sock:
            sock.sendall(request)
            data = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while more := sock.recv(65536):
                    data += more
        match = re.match(rb"HTTP/1\.1 (\d{3})", data)
        return int(match[1]) if match else 0, data.decode(errors="replace")

    def log(self) -> str:
        """Return the log of the daemon."""
        return "\n".join(line.text for line in self.daemon.lines)

    def is_up(self, target: str) -> bool:
        """Return whether the daemon watches a target and reports it as up."""
        return self.daemon.page(SCRAPE_TIMEOUT).value("redis_up", target=target) == 1

    def outputs(self) -> dict[str, str]:
        """Return every output of the daemon: its log and its pages."""
        texts = {"the log": self.log()}
        for path in ("/metrics", "/health", "/", "/sd", "/redis/ping?target=bad", "/redis/stats?target=bad"):
            with contextlib.suppress(OSError, http.client.HTTPException):
                texts[path] = self.daemon.get(path, SCRAPE_TIMEOUT)[1]
        return texts

    # Memory

    def rss(self) -> float:
        """Return the resident memory of the daemon in MB."""
        return self.daemon.usage().megabytes

    def reset_peak(self) -> None:
        """Let the kernel forget the highest resident memory so far."""
        Path(f"/proc/{self.daemon.pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """Return the highest resident memory in MB since ``reset_peak``."""
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024

    def wait_until_good(self) -> None:
        """Wait until all good targets are up and were polled. Raises RuntimeError."""
        names = {entry["name"] for entry in self.shared.good}
        deadline = time.monotonic() + WARM_UP
        missing: set[str] = names
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                page = self.daemon.page(SCRAPE_TIMEOUT)
                polled = {labels["target"] for labels, _ in page.matching("redis_uptime_in_seconds")}
                up = {labels["target"] for labels, value in page.matching("redis_up") if value == 1}
                missing = names - (polled & up)
                if not missing:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"{len(missing)} good targets are not up after {WARM_UP:g} s")

    def close(self) -> None:
        """End all processes of the row."""
        self.daemon.kill()
        self.stack.close()


class Scraper:
    """Scrapes every second, as Prometheus does, in a thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(SCRAPE_INTERVAL):
            began = time.monotonic()
            with DelayOf(self._daemon.pid) as delay:
                try:
                    status, _ = self._daemon.get("/metrics", MAX_SCRAPE)
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                    continue
            if status == 200:
                self.seconds.append(time.monotonic() - began - delay.seconds)
            else:
                self.failures.append(f"status {status}")

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(2 * MAX_SCRAPE)


class Meter:
    """The process ``attack.meter``."""

    def __init__(self, daemon: Daemon, control: Daemon, ca_file: str = "") -> None:
        self._helper = Helper("attack.meter", *(f"{one.port}:{one.pid}:{ca_file}" for one in (daemon, control)))
        self._helper.read_line()

    def stop(self) -> tuple[list[Wait], list[Wait]]:
        """Return the waits of the daemon and those of the control daemon."""
        try:
            waits, control = json.loads(self._helper.end())
        finally:
            self._helper.kill()
        return [Wait(*one) for one in waits], [Wait(*one) for one in control]


def page_of(daemon: Daemon) -> Page:
    """Return a page, or an empty one if no page arrives in time."""
    try:
        return daemon.page(SCRAPE_TIMEOUT)
    except (OSError, http.client.HTTPException):
        return Page("")
