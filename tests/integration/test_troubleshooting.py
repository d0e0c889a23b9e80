"""Every message in docs/troubleshooting.md is a message of the daemon. These tests provoke it."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from tests.integration.daemon import PATIENCE, ROOT, Daemon
from tests.integration.servers import RealServer, free_port
from tests.patience import Patience
from tests.web.certificates import write_config

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
#: Messages that other tests provoke. They are about systemd, the watchdog, the breaker, large replies, and blocked
#: calls. Others are about a lack of descriptors, and about servers that load or reset connections. Errors of
#: Memorystore are tested in tests/client/test_error_mapping.py.
ELSEWHERE = (
    *("WatchdogSec is shorter", "Fatal Python error", "is loading the dataset in memory", "lost the connection"),
    *("the circuit breaker is forced open", "calls are too slow"),
    *("(ERR_IAM_EXHAUSTED)", "a reply of", "bytes or more, which is larger"),
    *("the limit of open files is low for so many targets", "targets are skipped: there is no descriptor"),
    *("reading took longer than 10 s", "clients must wait: no connection can be accepted"),
    "cannot read the password file",
    "not offered here",  # test_managed_services.py
    # test_capabilities.py and test_messages.py
    *("not supported by this server", "collector fails", "part of a collector fails"),
    *("the server wants a client certificate", "does this port want TLS?"),
    # tests/web/test_access_control.py
    "too many logins of this address are being verified",
)


CONFIGURATIONS = {
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


def documented_messages(section: str) -> Iterator[str]:
    """Yield the fixed parts of all messages in a section of the page."""
    _, _, text = PAGE.partition(f"## {section}\n")
    text = text.partition("\n## ")[0]
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if "message" in cells:
            head = cells
        elif head and cells and not set(cells[0]) <= {"-", " "}:
            message = re.fullmatch(r"`(.+)`", cells[head.index("message")])
            yield from (part.strip() for part in (message[1].split("…") if message else ()) if part.strip())


def provoked_here(section: str) -> set[str]:
    """Return the parts of the messages in a section, without those of other tests."""
    parts = {part for part in documented_messages(section) if not part.startswith(ELSEWHERE)}
    assert parts, f"the section {section!r} has no message"
    return parts


def output_of(*arguments: str, folder: Path, **variables: str) -> str:
    """Run ``redis-pulse`` and return all its output."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "exporter"), **variables}
    result = subprocess.run(
        [sys.executable, "-m", "redis_pulse", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return result.stdout + result.stderr


def test_messages_about_an_invalid_configuration(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "form.json").write_text('[{"redis://b": "pa55w0rd"}]')
    outputs = [output_of("check-config", "nothere.yaml", folder=tmp_path)]
    for name, text in CONFIGURATIONS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
        outputs.append(output_of("check-config", f"{name}.yaml", folder=tmp_path))
    outputs.append(output_of("check-config", folder=tmp_path, REDIS_EXPORTER_BASIC_AUTH_PASSWORD="pa55"))
    outputs.append(output_of("-tls-server-key-file=key.pem", folder=tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outputs.append(output_of("--listen", f"127.0.0.1:{taken.getsockname()[1]}", folder=tmp_path))
    missing = {part for part in provoked_here("It does not start") if part not in "\n".join(outputs)}
    assert not missing


def test_warnings_about_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"redis://b": "pa55w0rd"}')
    (tmp_path / "c.yaml").write_text("targets: [{name: a, url: 'redis://a', password_file: p.json}]")
    output = output_of("check-config", folder=tmp_path)
    output += output_of("check-config", "c.yaml", folder=tmp_path)
    output += output_of("check-config", folder=tmp_path, REDIS_PULSE_PROBE_INTERVALL="1s", REDIS_URL="redis://a")
    output += output_of("check-config", "--redis-url", "redis://:pa55@a", folder=tmp_path)
    output += output_of("check-config", folder=tmp_path, REDIS_EXPORTER_NAMESPACE="cache")
    assert "pa55" not in output
    missing = {part for part in provoked_here("It starts with a warning") if part not in output}
    assert not missing


def write_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write certificate, key and CA file of a new authority, and return their paths."""
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    paths = (folder / "server.pem", folder / "server.key", folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    ca.cert_pem.write_to_path(paths[2])
    return paths


def test_messages_about_targets_and_collectors(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    locked = start_server(requirepass="pa55w0rd")
    encrypted = start_server("redis", tls=write_certificates(tmp_path))
    full, hung, plain = start_server(maxclients="1"), start_server(), start_server()
    (tmp_path / "p.json").write_text('{"redis://elsewhere": "pa55w0rd"}')
    full.run("PING")  # This is the only client that the server accepts.
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
    parts = provoked_here("A target is not up") | provoked_here("A target is up, and something is missing")
    patience = Patience(2 * PATIENCE)
    while (missing := {part for part in parts if part not in daemon.log}) and not patience.is_over:
        time.sleep(0.1)
    hung.thaw()
    assert not missing, daemon.log


def test_messages_of_pages_and_a_reload(start_daemon: Callable[..., Daemon]) -> None:
    config = {"targets": [{"name": "a", "url": f"redis://127.0.0.1:{free_port()}"}]}
    daemon = start_daemon(config=config)
    texts = [daemon.get(path)[2] for path in ("/metric", "/redis/ping?target=x", "/-/reload")]
    # A test cannot reliably request a page before the daemon is ready. So that text is searched in the code.
    texts.append((ROOT / "exporter" / "redis_pulse" / "web" / "handlers.py").read_text(encoding="utf-8"))
    daemon.configure("targets: [")
    texts.append(daemon.get("/-/reload", "POST")[2])
    daemon.configure({**config, "telemetry_path": "/elsewhere"})
    texts.append(daemon.get("/-/reload", "POST")[2])
    parts = provoked_here("Pages and reload")
    patience = Patience(PATIENCE)  # a thread of the daemon writes the log, so a line may come later
    while missing := {part for part in parts if part not in "\n".join([*texts, daemon.log])}:
        assert not patience.is_over, missing
        time.sleep(0.1)


def test_messages_of_tls_and_logins(start_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    targets = [{"name": "a", "url": f"redis://127.0.0.1:{free_port()}"}]
    write_config(tmp_path, basic_auth_users={"me": bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()})
    web = {"config_file": str(tmp_path / "web.yml"), "open_probes": True}
    locked = start_daemon(config={"targets": targets, "web": web})
    texts = [locked.get("/metrics")[2], locked.get("/metrics", headers={"Authorization": "Basic bWU6d3Jvbmc="})[2]]
    (tmp_path / "web.yml").write_text("broken")
    locked.get("/metrics")
    open_daemon = start_daemon(config={"targets": targets})
    texts.append(open_daemon.get("/", headers={"Host": "pulse.example.com"})[2])
    headers = ({"Origin": "http://evil.example"}, {"X-Forwarded-For": "10.0.0.9"})
    texts += [open_daemon.get("/-/reload", "POST", one)[2] for one in headers]
    parts = provoked_here("TLS and logins of the pages")
    patience = Patience(PATIENCE)
    while missing := {part for part in parts if part not in "\n".join([*texts, locked.log])}:
        assert not patience.is_over, missing
        time.sleep(0.1)
