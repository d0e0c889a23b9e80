"""No output shows a secret. Each setting that can hold one has one, and every error occurs.

Each planted secret contains ``S3K``. So the search is for these three characters, whatever was escaped, cut or joined.
"""

import socket
import socketserver
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from redis_pulse import cli
from redis_pulse.config import Settings, load
from redis_pulse.masking import SENSITIVE_NAME
from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MARK = "S3K"
#: The settings that can hold a secret, or lead to one. A new setting needs a place in ``configuration`` and a row here.
PLANTED = {
    "password",
    "password_file",
    "redis_url",
    "tls.key_file",
    "modules.password",
    "modules.password_file",
    "modules.tls.key_file",
    "modules.commands",
    "modules.credentials.command",
    "targets.password",
    "targets.password_file",
    "targets.tls.key_file",
    "targets.commands",
    "targets.credentials.command",
    "targets.url",
    "targets.sentinel.password",
    "targets.sentinel.password_file",
    "targets.sentinel.tls.key_file",
    "discovery.http.bearer_token_file",
    "discovery.http.tls.key_file",
    "discovery.http.url",
}
#: Settings whose names look like those of secrets.
NOT_SECRET = {"targets.cluster.seeds"}
#: A token may stand after the question mark.
PLANTED_TOO = {"discovery.http.url"}
PAGES = (
    "/",
    "/metrics",
    "/health",
    "/-/ready",
    "/redis/ping",
    "/redis/stats",
    "/sd",
    "/stalls",
    "/config",
    "/api/v1/status",
    f"/{MARK.lower()}",
)


def secret_settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the paths of the settings with a secret type, or with a name like password."""
    for name, field in model.model_fields.items():
        kinds = list(parts_of(field.annotation))
        if SecretStr in kinds or (SENSITIVE_NAME.search(name) and (str in kinds or Path in kinds)):
            yield f"{prefix}{name}"
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from secret_settings(kind, f"{prefix}{name}.")


def parts_of(annotation: Any) -> Iterator[Any]:
    """Yield the types inside an annotation."""
    if get_origin(annotation) in (Annotated, None) and not get_args(annotation):
        yield annotation
        return
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    for argument in arguments:
        if argument is not Ellipsis and not isinstance(argument, types.NoneType):
            yield from parts_of(argument)


def test_every_setting_that_can_hold_a_secret_is_planted() -> None:
    assert set(secret_settings(Settings)) - NOT_SECRET == PLANTED - PLANTED_TOO


class _Echo(socketserver.BaseRequestHandler):
    """Answers every command with an error that repeats all of it."""

    def handle(self) -> None:
        with suppress(OSError):
            while data := self.request.recv(65536):
                words = [word for word in data.decode(errors="replace").split("\r\n") if word[:1] not in ("*", "$")]
                self.request.sendall(f"-ERR bad login, you said: {' '.join(words)}\r\n".encode() * data.count(b"*"))


class _Inventory(BaseHTTPRequestHandler):
    """Refuses every request, and repeats its token."""

    def do_GET(self) -> None:
        self.send_response(401, f"no, {self.headers['Authorization']}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def echo() -> Iterator[str]:
    yield from serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo))


@pytest.fixture
def inventory() -> Iterator[str]:
    yield from serve(ThreadingHTTPServer(("127.0.0.1", 0), _Inventory))


def serve(server: socketserver.ThreadingTCPServer | ThreadingHTTPServer) -> Iterator[str]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


class Planted:
    """Files with secrets, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, name: str, content: str) -> str:
        path = self._folder / name
        path.write_text(content)
        return str(path)


def configuration(files: Planted, server: RealServer, echo: str, inventory: str) -> dict[str, Any]:
    """Return a configuration with a secret in each setting. Its targets provoke every kind of error."""
    closed = f"127.0.0.1:{closed_port()}"
    module_file = files.file("module-password", f"file {MARK}  of\tmodule\n")
    key = files.file("key.pem", f"-----BEGIN PRIVATE KEY-----\n{MARK}-key\n-----END PRIVATE KEY-----\n")
    certificate = files.file("cert.pem", f"-----BEGIN CERTIFICATE-----\n{MARK}\n-----END CERTIFICATE-----\n")
    tls = {"cert_file": certificate, "key_file": key}
    targets: list[dict[str, Any]] = [
        {"name": "wrong", "url": server.url, "username": "me", "password": f"wrong {MARK}  two\tthree"},
        {"name": "echo", "url": f"redis://{echo}", "username": "me", "password": f"echo {MARK}  two\tthree"},
        {"name": "in-url", "url": f"redis://me:url-{MARK}%20%20%2Ftwo@{echo}/1"},
        {"name": "in-file", "url": f"redis://{echo}/2", "password_file": files.file("password", f"a\t{MARK} b")},
        {"name": "of-module", "url": f"redis://{echo}/3", "module": "filed"},
        {"name": "of-other-module", "url": f"redis://{echo}/4", "module": "plain"},
        {"name": "renamed", "url": f"redis://{echo}/5", "commands": {"info": f"{MARK}-renamed", "client": "x"}},
        {"name": "token", "url": f"redis://{echo}/10", "module": "token"},
        {"name": "bad-token", "url": f"redis://{echo}/11", "credentials": {"command": printing(f"{{{MARK}-bad")}},
        {"name": "refused", "url": f"redis://me:refused-{MARK}@{closed}"},
        {"name": "no-tls", "url": f"rediss://me:tls-{MARK}@{echo}/6"},
        {"name": "bad-key", "url": f"rediss://me:key-{MARK}@{echo}/7", "tls": tls},
        {"name": "no-dns", "url": f"redis://me:dns-{MARK}@nowhere.invalid"},
        {"name": "cluster", "url": f"redis://me:cluster-{MARK}@{echo}/8", "cluster": True},
        {
            "name": "sentinel",
            "sentinel": {"hosts": [echo], "username": "me", "password": f"sentinel {MARK}  x", "interval": "1s"},
        },
        {
            "name": "sentinel-file",
            "sentinel": {"hosts": [f"rediss://{echo}"], "password_file": files.file("s", f"s {MARK}"), "tls": tls},
        },
    ]
    return {
        "tls": tls,
        "modules": {
            "filed": {"password_file": module_file, "commands": {"config": f"{MARK}-config"}, "tls": tls},
            "plain": {"password": f"module {MARK}  x"},
            "token": {"credentials": {"command": printing(f"token {MARK}  x")}},
        },
        "targets": targets,
        "discovery": {
            "http": [
                {"url": f"http://{inventory}/x?token={MARK}", "bearer_token_file": files.file("token", f"{MARK}-tok")},
                {"url": f"https://{inventory}/y", "bearer_token_file": files.file("token2", f"{MARK}-tok"), "tls": tls},
            ],
            "files": [{"path": files.file("list.yaml", f"- targets: ['redis://me:{MARK}@h', 'h?password={MARK}']\n")}],
        },
    }


def printing(text: str) -> list[str]:
    """Return a program that prints a login, and prints it to standard error too."""
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; [print({text!r}, file=f) for f in (sys.stderr, sys.stdout)]",
    ]


def is_down(name: str) -> Callable[[Page], bool]:
    return lambda page: page.up(name) == 0


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def all_pages(daemon: Daemon, names: list[str]) -> str:
    paths = [
        *PAGES,
        *(f"{path}?target={name}" for path in ("/redis/ping", "/scrape", "/redis/stats") for name in names),
    ]
    return "\n".join(str(daemon.get(path)) for path in paths)


def shown(output: str) -> list[str]:
    """Return what is around each secret in an output."""
    places = [index for index in range(len(output)) if output.startswith(MARK, index)]
    return [output[max(0, place - 150) : place + 50] for place in places[:5]]


def test_no_output_shows_a_secret_under_any_error(
    start_server: Callable[..., RealServer],
    start_daemon: Callable[..., Daemon],
    echo: str,
    inventory: str,
    tmp_path: Path,
) -> None:
    files = Planted(tmp_path)
    server = start_server(requirepass=f"right-{MARK}")
    config = configuration(files, server, echo, inventory)
    names = [target["name"] for target in config["targets"]]
    env = {
        "LOG_LEVEL": "DEBUG",
        "REDIS_URL": f"env=redis://{echo}/9",
        "REDIS_PASSWORD": f"env {MARK}  two",
    }
    daemon = start_daemon(config=config, env=env)
    for name in (
        "wrong",
        "echo",
        "in-url",
        "in-file",
        "of-module",
        "of-other-module",
        "env",
        "no-tls",
        "no-dns",
        "token",
        "bad-token",
    ):
        daemon.wait_for(is_down(name))
    daemon.wait_for(lambda page: "discovery_failures_total" in page.text)
    output = all_pages(daemon, names)
    # The files break while the daemon runs.
    files.file("password", f'{{"{MARK}": [{{}}')
    files.file("module-password", "\n")
    files.file("token", f"{MARK}-1\n{MARK}-2\n")
    (tmp_path / "s").unlink()
    (tmp_path / "list.yaml").write_text(f'- targets: ["{MARK}\n')
    daemon.reload()
    output += str(daemon.get("/-/reload", method="POST"))
    output += all_pages(daemon, names)
    for broken in BROKEN:
        daemon.file.write_text(broken)
        output += str(daemon.get("/-/reload", method="POST"))
    output += all_pages(daemon, names)
    daemon.stop()
    output += daemon.log
    assert "level=debug" in daemon.log
    assert "you said" in output, "the server repeats the login"
    assert shown(output) == []


#: Broken configurations. Each has a secret where it should not be.
BROKEN = (
    f"targets: [{{name: x, url: 'redis://h', passwrd: '{MARK}'}}]",
    f"targets: [{{name: x, url: 'redis://h', password: ['{MARK}']}}]",
    f"targets: [{{name: x, url: 'redis://h', password: {{a: '{MARK}'}}}}]",
    f"targets: [{{name: x, url: 'redis://h', password: '{MARK}', password_file: '/{MARK}'}}]",
    f"targets: [{{name: x, url: 'redis://h', password_file: '{MARK}'}}]",
    f"targets: [{{name: x, url: 'redis://:{MARK}@h:99999'}}]",
    f"targets: [{{name: x, url: 'redis://:{MARK}/@h'}}]",
    f"targets: [{{name: x, url: 'redsi://:{MARK}@h'}}]",
    f"targets: ['{MARK}']",
    f"targets: [{{name: x, url: 'redis://h', password: !secret '{MARK}'}}]",
    f"targets: [{{name: x, url: 'redis://h', password: \"{MARK}\n",
    f"targets: [{{name: x, url: 'redis://h', password: *{MARK}}}]",
    f"targets: [{{name: x, sentinel: {{hosts: ['u:{MARK}@s:1']}}}}]",
    f"targets: [{{name: x, url: 'redis://h', cluster: {{seeds: ['{MARK}@s:1']}}}}]",
    f"targets: [{{name: x, url: 'redis://h', commands: {{info: ['{MARK}']}}}}]",
    f"modules: {{m: '{MARK}'}}",
    f"redis_url: 'redis://:{MARK}@h:x'",
    f"password: ['{MARK}']",
    f"discovery: {{http: ['http://me:{MARK}@h/']}}",
    f"discovery: {{http: [{{url: 'https://h/', bearer_token_file: '{MARK}'}}]}}",
    f"discovery: {{http: [{{url: 'https://h/', bearer_token: '{MARK}'}}]}}",
)


@pytest.mark.parametrize("text", BROKEN)
def test_check_config_shows_no_secret_of_a_broken_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(text)
    assert cli.main(["check-config", "--config", str(file)]) != 0
    captured = capsys.readouterr()
    assert captured.out + captured.err
    assert shown(captured.out + captured.err) == []


@pytest.mark.parametrize("content", [f"{MARK}-1\n{MARK}-2\n", f"{MARK} note", ""])
def test_check_config_refuses_a_token_that_is_not_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    token = Planted(tmp_path).file("token", content)
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(f"discovery: {{http: [{{url: 'https://h/', bearer_token_file: '{token}'}}]}}")
    assert cli.main(["check-config", "--config", str(file)]) != 0
    captured = capsys.readouterr()
    assert "bearer_token_file" in captured.err + captured.out
    assert shown(captured.out + captured.err) == []


def test_good_configuration_shows_no_secret_as_text(
    tmp_path: Path, start_server: Callable[..., RealServer], capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """In check-config, help, repr, and the models that errors and logs may contain."""
    config = configuration(Planted(tmp_path), start_server(), "127.0.0.1:1", "127.0.0.1:2")
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("REDIS_PASSWORD", f"env {MARK}")
    monkeypatch.setenv("REDIS_URL", f"redis://:x{MARK}@h")
    cli.main(["check-config", "--config", str(file)])
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    captured = capsys.readouterr()
    loaded = load(None, {"REDIS_PASSWORD": f"env {MARK}", "REDIS_PULSE_CONFIG": str(file)}, tmp_path)
    texts = [captured.out, captured.err, repr(loaded), str(loaded), repr(loaded.settings), str(loaded.settings)]
    texts += [text for target in loaded.targets for text in (repr(target), str(target), str(target.model_dump()))]
    texts += [text for source in loaded.sources for text in (repr(source), str(source), source.title, source.key)]
    assert len(loaded.targets) > 8
    assert [shown(text) for text in texts if MARK in text] == []
