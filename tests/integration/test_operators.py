"""The image replaces redis_exporter in charts and operators, and nothing else of the pod changes.

Each contract was written down by hand from a public chart or operator: command, environment, probes and ACL. A small
kubelet probes as declared. The pod must be ready in 5 s, and stay ready and alive while Redis hangs for a minute. A
restart would lose the record of the very outage. An unready pod takes its Redis out of the service.

The minute and the periods of the probes are divided by ``SPEED``; OPERATORS_SPEED=1 makes them real.
"""

import http.client
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.daemon import PATIENCE
from tests.integration.kubelet import HOST, Container, Kubelet, PodProbe
from tests.integration.pages import Page
from tests.integration.prometheus import eventually
from tests.integration.servers import RealServer, free_port
from tests.patience import Stopwatch

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SPEED = float(os.environ.get("OPERATORS_SPEED", "10"))
HANG = 60.0
#: Seconds for the start on a machine that has other work.
BUSY_START = 60.0
PASSWORD = "pa55-of-the-chart"
#: The user that the operator makes for the exporter, from the documentation of redis_exporter.
OPERATOR_ACL = (
    "-@all +@connection +memory -readonly +strlen +config|get +xinfo +pfcount -quit +zcard +type +xlen -readwrite "
    "-command +client -wait +scard +llen +hlen +get +eval +slowlog +cluster|info +cluster|slots +cluster|nodes -hello "
    "-echo +info +latency +scan -reset -auth -asking"
)
#: With a password in a file, the chart of Bitnami exports it too. The image needs bash and the name redis_exporter.
BITNAMI_COMMAND = 'export REDIS_PASSWORD="$(< $REDIS_PASSWORD_FILE)"\nredis_exporter --export-client-list=true'


@dataclass(frozen=True)
class Contract:
    """What a chart declares. ``{port}``, ``{tls}`` and ``{password}`` are the server, certificates, a password file."""

    name: str
    env: Mapping[str, str]
    command: Sequence[str] = ("/redis_exporter",)
    startup: PodProbe | None = None
    liveness: PodProbe | None = None
    readiness: PodProbe | None = None
    has_tls: bool = False
    has_client_certificate: bool = False
    #: directives of the server
    server: Mapping[str, str] = field(default_factory=dict)
    #: the ACL of the user ``_exporter``
    acl: str = ""


CONTRACTS = (
    # github.com/valkey-io/valkey-operator, internal/controller/metrics_exporter.go and users.go, read 2026-11
    Contract(
        "valkey-operator",
        {
            "REDIS_ADDR": "rediss://localhost:{port}",
            "REDIS_USER": "_exporter",
            "REDIS_PASSWORD": PASSWORD,
            "REDIS_EXPORTER_TLS_CA_CERT_FILE": "{tls}/ca.crt",
            "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": "{tls}/tls.crt",
            "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": "{tls}/tls.key",
        },
        liveness=PodProbe("/health", initial_delay=10, period=10, timeout=3),
        readiness=PodProbe("/health", initial_delay=5, period=1, timeout=3),
        has_tls=True,
        has_client_certificate=True,
        acl=OPERATOR_ACL,
    ),
    # github.com/valkey-io/valkey-helm, chart valkey, templates/_pod.tpl, read 2026-11
    Contract(
        "valkey-helm",
        {
            "REDIS_ALIAS": "valkey",
            "REDIS_ADDR": "rediss://localhost:{port}",
            "REDIS_EXPORTER_TLS_CA_CERT_FILE": "{tls}/ca.crt",
            "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": "{tls}/tls.crt",
            "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": "{tls}/tls.key",
            "REDIS_EXPORTER_TLS_SERVER_NAME": "valkey",
            "REDIS_PASSWORD": PASSWORD,
        },
        startup=PodProbe(),
        liveness=PodProbe(),
        readiness=PodProbe("/"),
        has_tls=True,
        server={"requirepass": PASSWORD},
    ),
    # github.com/bitnami/charts, bitnami/redis, templates/master/application.yaml, read 2026-11
    Contract(
        "bitnami-redis",
        {
            "REDIS_ALIAS": "redis",
            "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": ":9121",
            "REDIS_USER": "default",
            "REDIS_PASSWORD_FILE": "{password}",
            "REDIS_ADDR": "rediss://localhost:{port}",
            "REDIS_EXPORTER_TLS_CA_CERT_FILE": "{tls}/ca.crt",
        },
        command=("/bin/bash", "-ec", BITNAMI_COMMAND),
        liveness=PodProbe(initial_delay=10, period=10, timeout=5, failures=5),
        readiness=PodProbe("/", initial_delay=5, period=10, timeout=1, failures=3),
        has_tls=True,
        server={"requirepass": PASSWORD},
    ),
    # github.com/prometheus-community/helm-charts, prometheus-redis-exporter, templates/deployment.yaml, read 2026-11
    Contract(
        "prometheus-redis-exporter",
        {"REDIS_ADDR": "redis://localhost:{port}", "REDIS_PASSWORD": PASSWORD},
        command=("/redis_exporter", "--include-system-metrics=true", "--check-single-keys=db0=a"),
        liveness=PodProbe("/"),
        readiness=PodProbe("/"),
        server={"requirepass": PASSWORD},
    ),
    # github.com/OT-CONTAINER-KIT/redis-operator, internal/k8sutils/statefulset.go, read 2026-11: it declares no probe
    Contract(
        "ot-redis-operator",
        {
            "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": "{tls}/tls.key",
            "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": "{tls}/tls.crt",
            "REDIS_EXPORTER_TLS_CA_CERT_FILE": "{tls}/ca.crt",
            "REDIS_EXPORTER_SKIP_TLS_VERIFICATION": "true",
            "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": ":9121",
            "REDIS_ADDR": "rediss://localhost:{port}",
            "REDIS_PASSWORD": PASSWORD,
            "REDIS_EXPORTER_INCL_SYSTEM_METRICS": "true",
            "UI_PROPERTIES_FILE_NAME": "x",
        },
        has_tls=True,
        has_client_certificate=True,
        server={"requirepass": PASSWORD},
    ),
    # github.com/goharbor/harbor-helm has no exporter for its Redis, read 2026-11. Its users add a Deployment like this.
    Contract(
        "harbor-helm",
        {"REDIS_ADDR": "redis://localhost:{port}", "REDIS_EXPORTER_LOG_FORMAT": "json"},
        liveness=PodProbe("/health"),
        readiness=PodProbe("/health"),
    ),
)


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write the files of a secret of type kubernetes.io/tls. Return certificate, key and CA file."""
    folder.mkdir()
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1", "valkey")
    paths = (folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths


def started(
    contract: Contract, start_server: Callable[..., RealServer], folder: Path
) -> tuple[RealServer, dict[str, str]]:
    """Start the server of a contract. Return it, and the environment of the container."""
    options: dict[str, Any] = dict(contract.server)
    if contract.has_tls:
        options["tls"] = certificates(folder / "tls")
    if contract.has_client_certificate:
        options["tls_auth_clients"] = "yes"
    server = start_server("redis", **options)
    if contract.acl:
        server.run("ACL", "SETUSER", "_exporter", "on", f">{PASSWORD}", *contract.acl.split())
    password = folder / "redis-password"
    password.write_text(PASSWORD)
    places = {"port": str(server.port), "tls": str(folder / "tls"), "password": str(password)}
    return server, {name: value.format(**places) for name, value in contract.env.items()}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_pod_is_ready_soon_and_stays_ready_while_redis_hangs(
    contract: Contract, start_server: Callable[..., RealServer], tmp_path: Path
) -> None:
    server, env = started(contract, start_server, tmp_path)
    port = free_port()
    env["REDIS_PULSE_LISTEN"] = f"{HOST}:{port}"  # only the port differs from the chart
    stopwatch = Stopwatch()
    container = Container(tmp_path / "container", contract.command, env)
    kubelet = Kubelet(
        port, startup=contract.startup, liveness=contract.liveness, readiness=contract.readiness, speed=SPEED
    )

    def page() -> Page:
        text = container_page(port)
        return Page(text, time.monotonic(), time.monotonic())

    with container, kubelet:
        eventually(lambda: kubelet.ready_at or container.has_ended, "the pod is ready", BUSY_START)
        assert stopwatch.seconds < 5, "ready in 5 s"
        assert not container.has_ended, container.log
        assert kubelet.ready_at is not None
        eventually(lambda: page().sum("redis_up") == 1, f"redis_up is 1: {container.log}", BUSY_START)
        eventually(lambda: page().value("redis_collector_success", collector="info") == 1, container.log, BUSY_START)
        server.freeze()
        try:
            time.sleep(HANG / SPEED)
            assert page().sum("redis_up") == 0, "the outage is recorded"
            assert (kubelet.is_ready, kubelet.times_unready, kubelet.restarts) == (True, 0, 0)
        finally:
            server.thaw()
        eventually(lambda: page().sum("redis_up") == 1, "redis_up is 1 again", BUSY_START)
        assert (kubelet.is_ready, kubelet.times_unready, kubelet.restarts) == (True, 0, 0)
        assert PASSWORD not in container.log
        assert "has no effect" not in container.log


def container_page(port: int) -> str:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()


def test_image_has_the_names_that_the_commands_of_charts_use() -> None:
    text = (Path(__file__).parents[2] / "Dockerfile").read_text()
    assert "/opt/redis-pulse/bin/redis_exporter" in text
    assert "/redis_exporter" in text
