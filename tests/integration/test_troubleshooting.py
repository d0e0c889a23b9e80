"""What docs/troubleshooting.md says that the daemon says, it says: every message there is provoked here."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.daemon import PATIENCE, ROOT, Daemon
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
#: Provoked elsewhere: by the tests of systemd, the watchdog, the breaker, large replies, servers that load and reset,
#: what blocks, and want of descriptors. Nobody here has a Memorystore: see tests/client/test_error_mapping.py.
ELSEWHERE = (
    *("WatchdogSec is shorter", "Fatal Python error", "is loading the dataset in memory", "lost the connection"),
    *("the circuit breaker is forced open", "calls are too slow"),
    *("(ERR_IAM_EXHAUSTED)", "a reply of", "bytes or more, which is larger"),
    *("the limit of open files is low for so many targets", "targets are skipped: there is no descriptor"),
    *("reading took longer than 10 s", "clients must wait: no connection can be accepted"),
    "cannot read the password file",
    # test_capabilities.py and test_messages.py
    *("not supported by this server", "collector fails", "part of a collector fails"),
    *("the server wants a client certificate", "does this port want TLS?"),
)


FILES = {
    "key": "probe: {intervall: 1s}",
    "yaml": "targets:\n  - {name: a}\n   - b",
    "scheme": "targets: [{url: 'reddis://a:6379'}]",
    "twice": "targets: [{name: b, url: 'redis://b'}, {name: b, url: 'redis://c'}]",
    "same": "targets: [{name: a, url: 'redis://b'}, {name: c, url: 'redis://b'}]",
    "password": "targets: [{url: 'redis://b', password_file: /nowhere/password}]",
    "empty": "targets: [{url: 'redis://b', password_file: empty}]",
    "form": "targets: [{url: 'redis://b', password_file: form.json}]",
    "collector": "collectors: [infos]",
    "slo": "slo: {latency: 11ms}",
}


def messages(section: str) -> Iterator[str]:
    """Yield the messages of a section, as fragments without what differs from case to case."""
    _, _, text = PAGE.partition(f"## {section}\n")
    text = text.partition("\n## ")[0]
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if "it says" in cells:
            head = cells
        elif head and cells and not set(cells[0]) <= {"-", " "}:
            said = re.fullmatch(r"`(.+)`", cells[head.index("it says")])
            yield from (part.strip() for part in (said[1].split("…") if said else ()) if part.strip())


def expected(section: str) -> set[str]:
    found = {part for part in messages(section) if not part.startswith(ELSEWHERE)}
    assert found, f"the section {section} has no message"
    return found


def command(*arguments: str, folder: Path, **variables: str) -> str:
    """Run ``redis-pulse`` and return all that it said."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "redis_pulse", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_configuration_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "form.json").write_text('[{"redis://b": "pa55w0rd"}]')
    said = [command("check-config", "nothere.yaml", folder=tmp_path)]
    for name, text in FILES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
        said.append(command("check-config", f"{name}.yaml", folder=tmp_path))
    said.append(command("check-config", folder=tmp_path, REDIS_EXPORTER_BASIC_AUTH_PASSWORD="pa55"))
    said.append(command("-redis.addr=cart:6379", folder=tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said.append(command("--listen", f"127.0.0.1:{taken.getsockname()[1]}", folder=tmp_path))
    unheard = {part for part in expected("It does not start") if part not in "\n".join(said)}
    assert not unheard


def test_a_configuration_that_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"redis://b": "pa55w0rd"}')
    (tmp_path / "c.yaml").write_text("targets: [{name: a, url: 'redis://a', password_file: p.json}]")
    said = command("check-config", folder=tmp_path)
    said += command("check-config", "c.yaml", folder=tmp_path)
    said += command("check-config", folder=tmp_path, REDIS_PULSE_PROBE_INTERVALL="1s", REDIS_URL="redis://a")
    said += command("check-config", "--redis-url", "redis://:pa55@a", folder=tmp_path)
    said += command("check-config", folder=tmp_path, REDIS_EXPORTER_NAMESPACE="cache")
    assert "pa55" not in said
    unheard = {part for part in expected("It starts with a warning") if part not in said}
    assert not unheard


def certified(folder: Path) -> tuple[Path, Path, Path]:
    """Make certificate, key and CA file of an authority that nobody else knows."""
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    paths = (folder / "server.pem", folder / "server.key", folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    ca.cert_pem.write_to_path(paths[2])
    return paths


def test_targets_that_are_not_up_and_collectors_that_are_not_there(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    locked = start_server(requirepass="pa55w0rd")
    encrypted = start_server("redis", tls=certified(tmp_path))
    full, hung, plain = start_server(maxclients="1"), start_server(), start_server()
    (tmp_path / "p.json").write_text('{"redis://elsewhere": "pa55w0rd"}')
    full.run("PING")  # the one client that is let in is this one
    plain.run("ACL", "SETUSER", "poor", "on", ">pa55w0rd", "+ping", "+info")
    targets: dict[str, dict[str, Any]] = {
        "refused": {"url": f"redis://127.0.0.1:{free_port()}"},
        "dns": {"url": "redis://no-such-host.invalid"},
        "locked": {"url": locked.url},
        "unnamed": {"url": locked.url, "db": 2, "password_file": str(tmp_path / "p.json")},
        "mistaken": {"url": locked.url, "db": 1, "password": "wrong"},
        "untrusted": {"url": encrypted.url},
        "full": {"url": full.url},
        "hung": {"url": hung.url},
        "poor": {"url": plain.url, "username": "poor", "password": "pa55w0rd"},
        "tls": {"url": f"rediss://{plain.address}/1", "connection": {"socket_connect_timeout": "500ms"}},
    }
    daemon = start_daemon(config={"targets": [{"name": name, **target} for name, target in targets.items()]})
    daemon.wait_until_up("hung")
    daemon.wait_until_up("poor")
    hung.freeze()
    wanted = expected("A target is not up") | expected("A target is up, and something is missing")
    deadline = time.monotonic() + 2 * PATIENCE
    while (unheard := {part for part in wanted if part not in daemon.log}) and time.monotonic() < deadline:
        time.sleep(0.1)
    hung.thaw()
    assert not unheard, daemon.log


def test_pages_and_a_reload(start_daemon: Callable[..., Daemon]) -> None:
    config = {"targets": [{"name": "a", "url": f"redis://127.0.0.1:{free_port()}"}]}
    daemon = start_daemon(config=config)
    said = [daemon.get(path)[2] for path in ("/metric", "/redis/ping?target=x", "/-/reload")]
    # Whether it is seen not to be ready is a matter of luck, so its words are held against the code.
    said.append((ROOT / "exporter" / "redis_pulse" / "web" / "handlers.py").read_text(encoding="utf-8"))
    daemon.configure("targets: [")
    said.append(daemon.get("/-/reload", "POST")[2])
    daemon.configure({**config, "telemetry_path": "/elsewhere"})
    said += [daemon.get("/-/reload", "POST")[2], daemon.log]
    unheard = {part for part in expected("Pages and reload") if part not in "\n".join(said)}
    assert not unheard
