"""The image is swapped in where redis_exporter ran: its variables, and what supervises it, stay as they were."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import RealServer, free_port
from tests.integration.test_troubleshooting import certified

pytestmark = pytest.mark.integration


def test_a_server_that_wants_tls_is_up_with_the_variables_of_redis_exporter_and_health_outlives_it(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """An operator asks the sidecar's /health for liveness: a 503 would restart it in the outage that it records."""
    files = certified(tmp_path)
    server = start_server("redis", tls=files)
    env = {
        "REDIS_ADDR": server.url,
        "REDIS_EXPORTER_TLS_CA_CERT_FILE": str(files[2]),
        "REDIS_EXPORTER_CHECK_SINGLE_KEYS": "a",
        "REDIS_EXPORTER_INCL_SYSTEM_METRICS": "true",
    }
    daemon = start_daemon(env=env)
    daemon.wait_for(lambda page: page.value("redis_up", target=server.address) == 1)
    assert "not in force" not in daemon.log
    server.freeze()
    daemon.wait_for(lambda page: page.value("redis_up", target=server.address) == 0)
    status, _, _ = daemon.get("/health")
    assert (status, daemon.json("/health")["status"]) == (200, "unhealthy")
    server.thaw()


def test_without_those_variables_health_follows_the_targets(start_daemon: Callable[..., Daemon]) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    assert start_daemon(config={"targets": [{"url": url}]}).get("/health")[0] == 503
    always = {"targets": [{"url": url}], "web": {"health_status": "always-200"}}
    assert start_daemon(config=always).get("/health")[0] == 200
