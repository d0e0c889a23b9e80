"""The image replaces redis_exporter: its environment variables and its supervision stay unchanged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import RealServer, free_port
from tests.integration.test_troubleshooting import write_certificates

pytestmark = pytest.mark.integration


def test_redis_exporter_variables_work_with_tls_and_health_stays_200(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Operators use /health of the sidecar as liveness probe. A 503 would restart it during the outage it records."""
    files = write_certificates(tmp_path)
    server = start_server("redis", tls=files)
    env = {
        "REDIS_ADDR": server.url,
        "REDIS_EXPORTER_TLS_CA_CERT_FILE": str(files[2]),
        "REDIS_EXPORTER_CHECK_SINGLE_KEYS": "a",
        "REDIS_EXPORTER_INCL_SYSTEM_METRICS": "true",
    }
    daemon = start_daemon(env=env)
    daemon.wait_for(lambda page: page.value("redis_up", target=server.address) == 1)
    assert "has no effect" not in daemon.log
    server.freeze()
    daemon.wait_for(lambda page: page.value("redis_up", target=server.address) == 0)
    status, _, _ = daemon.get("/health")
    assert (status, daemon.json("/health")["status"]) == (200, "unhealthy")
    server.thaw()


def test_without_these_variables_health_depends_on_the_targets(start_daemon: Callable[..., Daemon]) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    assert start_daemon(config={"targets": [{"url": url}]}).get("/health")[0] == 503
    always = {"targets": [{"url": url}], "web": {"health_status": "always-200"}}
    assert start_daemon(config=always).get("/health")[0] == 200
