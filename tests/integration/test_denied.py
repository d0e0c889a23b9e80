"""Wrong credentials and missing permissions: the server is available, so the breaker stays closed."""

from collections.abc import Callable

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import assert_reasons
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]

PASSWORD = "correct-horse-battery"


def test_wrong_password_is_an_auth_failure_and_the_breaker_stays_closed(
    software: str, start_server: Start, watch: Watch
) -> None:
    server = start_server(software, requirepass="another-password")
    daemon = watch(server, password=PASSWORD)
    first = daemon.page()
    wrong = daemon.wait_for(lambda page: page.failures("ping", "auth") >= 10)
    assert (wrong.up(), wrong.breaker()) == (0, "closed")
    assert_reasons(wrong, "auth")
    assert "rejected" not in wrong.reasons()
    assert wrong.sum("redis_circuit_breaker_transitions_total") == 0
    assert wrong.value("redis_collector_success", collector="info") == 0
    server.run("CONFIG", "SET", "requirepass", PASSWORD)
    up = daemon.wait_until_up()
    assert up.failures("ping", "auth") > 0
    assert_reasons(up, "auth")
    daemon.assert_every_ping_counted(first)
    assert PASSWORD not in daemon.log
    daemon.wait_for(lambda page: page.value("redis_collector_success", collector="info") == 1)


def test_missing_password_is_an_auth_failure(software: str, start_server: Start, watch: Watch) -> None:
    server = start_server(software, requirepass=PASSWORD)
    daemon = watch(server)
    first = daemon.page()
    wrong = daemon.wait_for(lambda page: page.failures("ping", "auth") >= 10)
    assert (wrong.up(), wrong.breaker()) == (0, "closed")
    server.run("CONFIG", "SET", "requirepass", "")
    up = daemon.wait_until_up()
    assert up.failures("ping", "auth") > 0
    assert_reasons(up, "auth")
    daemon.assert_every_ping_counted(first)


def test_changed_password_is_noticed_at_the_next_connection(software: str, start_server: Start, watch: Watch) -> None:
    """Redis keeps authenticated connections open, so the change takes effect when they are closed."""
    server = start_server(software, requirepass=PASSWORD)
    daemon = watch(server, password=PASSWORD)
    first = daemon.wait_until_up()
    server.run("CONFIG", "SET", "requirepass", "another-password")
    server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wrong = daemon.wait_for(lambda page: page.up() == 0 and page.failures("ping", "auth") >= 5)
    assert wrong.breaker() == "closed"
    assert_reasons(wrong, "auth", "reset")
    server.run("CONFIG", "SET", "requirepass", PASSWORD)
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)


def test_user_without_info_is_up_without_server_metrics(server: RealServer, watch: Watch) -> None:
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@connection")
    daemon = watch(server, username="exporter", password=PASSWORD)
    first = daemon.wait_until_up()
    denied = daemon.wait_for(lambda page: page.has_failed("info", "permission"))
    assert (denied.up(), denied.breaker()) == (1, "closed")
    assert denied.value("redis_collector_success", collector="info") == 0
    assert denied.value("redis_uptime_in_seconds") is None
    assert_reasons(denied, "permission", operation="info")
    assert_reasons(denied)
    server.run("ACL", "SETUSER", "exporter", "+info")
    granted = daemon.wait_for(lambda page: page.value("redis_collector_success", collector="info") == 1)
    assert granted.value("redis_uptime_in_seconds") is not None
    daemon.assert_every_ping_counted(first)
