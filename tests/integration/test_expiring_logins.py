"""The daemon logs in with tokens that end. The server cuts each connection at the end of its token.

``IAM_SECONDS=240`` in the environment watches tokens of 20 s for longer: ``pytest -k no_ping_is_lost``.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.iam_server import IamServer
from tests.integration.iam_token import LEAK
from tests.integration.servers import RealServer
from tests.patience import Stopwatch

pytestmark = [pytest.mark.integration, pytest.mark.alone]
#: Seconds to watch, and the life of a token.
SECONDS, LIFE = (float(os.environ["IAM_SECONDS"]), 20.0) if "IAM_SECONDS" in os.environ else (12.0, 4.0)
PROGRAM = Path(__file__).with_name("iam_token.py")
KEY = "first-key"
#: A ping or a poll that a busy machine delays is not lost.
PATIENT: dict[str, Any] = {"probe": {"interval": "100ms", "timeout": "3s"}, "poll": {"interval": "2s", "timeout": "2s"}}


@pytest.fixture
def iam(stack: ExitStack, start_server: Callable[..., RealServer]) -> IamServer:
    return stack.enter_context(IamServer(start_server("valkey").port, KEY))


def target(iam: IamServer, life: float = LIFE, name: str = "cache") -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(PROGRAM), KEY, str(life)]
    return {"name": name, "url": iam.url, "credentials": {"command": command}}


def test_no_ping_is_lost_while_tokens_are_renewed(
    iam: IamServer, start_daemon: Callable[..., Daemon], stack: ExitStack
) -> None:
    """A second server has tokens that outlive the test. It shows what the machine alone delays."""
    lasting = stack.enter_context(IamServer(iam.upstream, KEY))
    daemon = start_daemon(config={**PATIENT, "targets": [target(iam), target(lasting, 3600, "lasting")]})
    daemon.wait_until_up("lasting")
    first = daemon.wait_until_up("cache")
    ends, stopwatch = time.monotonic() + SECONDS, Stopwatch()
    while time.monotonic() < ends:
        time.sleep(1)
        page = daemon.page()
        expiry = page.value("redis_credentials_expiry_timestamp_seconds", target="cache")
        assert expiry is not None
        assert time.time() - stopwatch.delay < expiry <= time.time() + LIFE
    last = daemon.page()
    assert last.operations("ping", "cache") - first.operations("ping", "cache") > 5 * SECONDS
    delayed = {"skipped", *last.reasons("ping", "lasting")}
    lost = {name: last.reasons("ping", name) for name in ("cache", "lasting")}
    print(f"{last.operations('ping', 'cache'):g} pings, {iam.accepted} logins, {iam.cut} cut connections, {lost}")
    assert set(lost["cache"]) <= delayed, f"{lost}\n{daemon.log}"
    assert set(last.reasons("info", "cache")) <= {*delayed, *last.reasons("info", "lasting")}
    assert last.sum("redis_operation_retries_total", target="cache") == 0
    assert last.sum("redis_credentials_refresh_failures_total", target="cache") == 0
    assert iam.accepted >= SECONDS / LIFE, "the connections were not replaced"
    assert iam.rejected == 0
    assert "reason=auth" not in daemon.log
    assert "reason=reset" not in daemon.log
    assert LEAK not in daemon.log
    assert KEY not in daemon.log + last.text


def test_rejected_token_is_renewed_at_once(iam: IamServer, start_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    """The key of the service is rotated: the token is refused long before its end."""
    key = tmp_path / "key"
    key.write_text(KEY)
    script = tmp_path / "token.py"
    script.write_text(
        f"import runpy, sys\nsys.argv = ['', open({str(key)!r}).read(), '900']\n"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')\n"
    )
    credentials = {"command": [sys.executable, "-I", str(script)]}
    daemon = start_daemon(
        config={**PATIENT, "targets": [{"name": "cache", "url": iam.url, "credentials": credentials}]}
    )
    daemon.wait_until_up()
    key.write_text("second-key")
    iam.key = "second-key"
    iam.drop()
    daemon.wait_for(lambda page: page.up("cache") == 1 and iam.rejected >= 1 and iam.accepted >= 3)
    assert "reason=auth" not in daemon.log


def test_busy_iam_service_is_overloaded(iam: IamServer, start_daemon: Callable[..., Daemon]) -> None:
    iam.auth_reply = (
        b"-ERR (ERR_IAM_EXHAUSTED) Memorystore IAM authentication backend quota exceeded. See https://cloud\r\n"
    )
    daemon = start_daemon(config={**PATIENT, "targets": [target(iam, life=900)]})
    page = daemon.wait_for(lambda page: page.failures("ping", "overloaded", "cache") > 0)
    assert set(page.reasons("ping", "cache")) <= {"overloaded", "skipped"}
    iam.auth_reply = None
    daemon.wait_until_up("cache")


def test_program_that_fails_costs_no_ping_while_the_token_is_valid(
    iam: IamServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    script = tmp_path / "token.py"
    script.write_text(
        f"import os, runpy, sys\nif os.path.exists({str(broken)!r}):\n    print('hunter2', file=sys.stderr)\n"
        f"    print('hunter2')\n    sys.exit(3)\nsys.argv = ['', {KEY!r}, '6']\n"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')\n"
    )
    credentials = {"command": [sys.executable, "-I", str(script)]}
    daemon = start_daemon(
        config={**PATIENT, "targets": [{"name": "cache", "url": iam.url, "credentials": credentials}]}
    )
    daemon.wait_until_up()
    broken.touch()
    failed = daemon.wait_for(
        lambda page: page.sum("redis_credentials_refresh_failures_total", target="cache", reason="program") >= 1
    )
    assert failed.up("cache") == 1
    assert not set(failed.reasons("ping", "cache")) - {"skipped"}
    broken.unlink()
    daemon.wait_for(lambda _page: "the login is renewed again" in daemon.log)
    assert daemon.log.count("the login cannot be renewed") == 1
    assert "exit code 3" in daemon.log
    assert "hunter2" not in daemon.log
