"""No credential appears anywhere in any state: not in the log, not on a page, not in a header."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

SECRETS = ("url-pa55w0rd", "file-pa55w0rd", "plain-pa55w0rd", "old-pa55w0rd")
PAGES = ("/", "/metrics", "/health", "/-/healthy", "/-/ready", "/redis/ping", "/redis/stats", "/nothing-here")
TARGETS = ("by-url", "by-file", "plain", "refused")


def test_no_page_and_no_log_line_contains_a_password(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """In every state: connected, login denied, server killed. The log has level debug."""
    servers = [start_server(requirepass=password) for password in SECRETS[:3]]
    absent = start_server(listen=False)
    file = tmp_path / "password"
    file.write_text(SECRETS[1] + "\n")
    targets = [
        {"name": "by-url", "url": f"redis://:{SECRETS[0]}@{servers[0].address}"},
        {"name": "by-file", "url": servers[1].url, "password_file": str(file)},
        {"name": "plain", "url": servers[2].url, "password": SECRETS[2]},
        {"name": "refused", "url": f"redis://someone:{SECRETS[3]}@{absent.address}"},
    ]
    daemon = start_daemon(config={"targets": targets}, env={"LOG_LEVEL": "DEBUG"})
    for name in TARGETS[:3]:
        daemon.wait_until_up(name)
    output = all_pages(daemon)
    for server in servers:
        server.run("CONFIG", "SET", "requirepass", "changed-meanwhile")
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    for name in TARGETS[:3]:
        daemon.wait_for(login_failed(name))
    output += all_pages(daemon)
    for server in servers:
        server.kill()
    for name in TARGETS:
        daemon.wait_for(breaker_open(name))
    daemon.configure("targets:\n  - {name: x, url: 'redis://:url-pa55w0rd@127.0.0.1:1', passwrd: plain-pa55w0rd}\n")
    output += all_pages(daemon) + str(daemon.get("/-/reload", method="POST"))
    daemon.stop()
    output += daemon.log
    for secret in SECRETS:
        assert secret not in output


def login_failed(name: str) -> Callable[[Page], bool]:
    return lambda page: page.failures("ping", "auth", name) > 0


def breaker_open(name: str) -> Callable[[Page], bool]:
    return lambda page: page.breaker(name) == "open"


def all_pages(daemon: Daemon) -> str:
    """Return every page, with its headers."""
    paths = [*PAGES, *(f"{path}?target={name}" for path in ("/redis/ping", "/redis/stats") for name in TARGETS)]
    return "\n".join(str(daemon.get(path)) for path in paths)


def test_password_in_an_unknown_setting_is_not_repeated(tmp_path: Path) -> None:
    """The daemon does not start. Its message has the location and the reason, but not the value."""
    daemon = Daemon(tmp_path, config={"targets": [{"name": "x", "url": "redis://h", "passwrd": "plain-pa55w0rd"}]})
    with pytest.raises(AssertionError, match="exit code 1"), daemon:
        pass
    assert "passwrd" in daemon.log
    assert "password" in daemon.log, "the message must suggest the nearest setting"
    assert "plain-pa55w0rd" not in daemon.log
    daemon.assert_clean_log()


def test_password_in_a_bad_url_on_the_command_line_is_not_repeated(tmp_path: Path) -> None:
    arguments: Any = ("--redis-url", "rediss:/:url-pa55w0rd@127.0.0.1:6379")
    daemon = Daemon(tmp_path, *arguments)
    with pytest.raises(AssertionError, match=r"exit code [12]"), daemon:
        pass
    assert "url-pa55w0rd" not in daemon.log
    daemon.assert_clean_log()
