"""The daemon with a web configuration file, seen from outside: curl, Prometheus, and certificates that are renewed."""

import base64
import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.integration.daemon import PATIENCE, Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.requirements import need
from tests.patience import Stopwatch
from tests.web.certificates import Certificates, write_config

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PASSWORD = "s3cret-of-prometheus"
USERS = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()}
TOKEN = "token-of-another-scraper-0123"
TLS = {"cert_file": "server.crt", "key_file": "server.key"}
MTLS = {**TLS, "client_ca_file": "ca.crt", "client_auth_type": "RequireAndVerifyClientCert"}


class SecureDaemon(Daemon):
    """A daemon whose pages need TLS and perhaps a login. ``client`` is the name of a certificate."""

    def __init__(self, folder: Path, certificates: Certificates, *, client: str = "", login: bool = True) -> None:
        web = {"config_file": str(certificates.folder / "web.yml")}
        super().__init__(folder, config={"targets": [{"url": "redis://127.0.0.1:1"}], "web": web})
        self.certificates = certificates
        self.client = client
        self.login = login

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificates.ca_file)
        if self.client:
            folder = self.certificates.folder
            context.load_cert_chain(folder / f"{self.client}.crt", folder / f"{self.client}.key")
        return context

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=self.context())

    def get(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        connection = self.connect()
        try:
            connection.request(method, path, headers={**(login_header() if self.login else {}), **(headers or {})})
            response = connection.getresponse()
            return response.status, {n.lower(): v for n, v in response.getheaders()}, response.read().decode()
        finally:
            connection.close()


def login_header(password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()}


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    folder = tmp_path / "etc"
    folder.mkdir()
    made = Certificates(folder)
    made.issue("server", "localhost", "127.0.0.1")
    return made


def curl(daemon: SecureDaemon, path: str, *arguments: str) -> str:
    """Return the status that curl gets, or ``000`` if it gets none."""
    command = [need("curl", "curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "15"]
    folder = daemon.certificates.folder
    url = f"https://localhost:{daemon.port}{path}"
    done = subprocess.run(
        [*command, "--cacert", str(folder / "ca.crt"), *arguments, url], capture_output=True, text=True, check=False
    )
    return done.stdout


def test_file_with_a_login_and_tls_protects_every_page(certificates: Certificates, tmp_path: Path) -> None:
    (certificates.folder / "token").write_text(f"{TOKEN}\n")
    write_config(certificates.folder, tls_server_config=TLS, basic_auth_users=USERS, bearer_token_file="token")
    with SecureDaemon(tmp_path / "pulse", certificates) as daemon:
        for path in ("/", "/metrics", "/health", "/-/healthy", "/nowhere"):
            assert curl(daemon, path) == "401"
        assert curl(daemon, "/metrics", "-u", f"prometheus:{PASSWORD}") == "200"
        assert curl(daemon, "/metrics", "-u", "prometheus:wrong") == "401"
        assert curl(daemon, "/metrics", "-H", f"Authorization: Bearer {TOKEN}") == "200"
        assert curl(daemon, "/metrics", "-H", "Authorization: Bearer wrong") == "401"
        assert curl(daemon, "/-/reload", "-X", "POST") == "401"
        assert curl(daemon, "/-/reload", "-X", "POST", "-u", f"prometheus:{PASSWORD}") == "200"
        assert curl(daemon, "/metrics", "-u", f"prometheus:{PASSWORD}", "--tls-max", "1.1") == "000"
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=5)) as plain:
            plain.request("GET", "/metrics", headers=login_header())
            response = plain.getresponse()
            assert response.status == 400
            assert b"use https://" in response.read()
        assert PASSWORD not in daemon.log
        assert TOKEN not in daemon.log


def test_client_certificate_with_the_right_name_is_required(certificates: Certificates, tmp_path: Path) -> None:
    for name in ("prometheus", "other"):
        certificates.issue(name)
    write_config(certificates.folder, tls_server_config={**MTLS, "client_allowed_sans": ["prometheus.example"]})
    with SecureDaemon(tmp_path / "pulse", certificates, client="prometheus", login=False) as daemon:
        folder = certificates.folder

        def status(name: str) -> str:
            return curl(daemon, "/metrics", "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key")

        assert status("prometheus") == "200"
        assert status("other") == "000"
        assert curl(daemon, "/metrics") == "000"
        assert 'redis_exporter_http_refused_total{reason="client_certificate"} 1' in daemon.get("/metrics")[2]


def test_prometheus_scrapes_with_tls_and_a_login_while_everything_is_renewed(
    certificates: Certificates, tmp_path: Path
) -> None:
    """No scrape fails while certificate, key and users change, and while a broken file stands there."""
    folder = certificates.folder
    write_config(folder, tls_server_config=TLS, basic_auth_users=USERS)
    with SecureDaemon(tmp_path / "pulse", certificates) as daemon:
        (tmp_path / "password").write_text(PASSWORD)
        job = {
            "job_name": "secure",
            "scheme": "https",
            "tls_config": {"ca_file": str(certificates.ca_file), "server_name": "localhost"},
            "basic_auth": {"username": "prometheus", "password_file": str(tmp_path / "password")},
            "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}],
        }
        with Prometheus(tmp_path / "prometheus", [], jobs=[job]) as prometheus:
            eventually(lambda: value(prometheus, 'up{job="secure"} == 1'), "the first scrape succeeded")
            first = ssl.get_server_certificate(("127.0.0.1", daemon.port))
            certificates.issue("new", "localhost", "127.0.0.1")
            for end in ("crt", "key"):  # two steps: in between, the files do not fit
                shutil.copy(folder / f"new.{end}", folder / f"server.{end}")
            assert ssl.get_server_certificate(("127.0.0.1", daemon.port)) != first
            scrapes = value(prometheus, 'count_over_time(up{job="secure"}[5m])')
            users = {**USERS, "second": bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()}
            write_config(folder, tls_server_config=TLS, basic_auth_users=users)
            assert daemon.get("/metrics")[0] == 200
            (folder / "web.yml").write_text("basic_auth_users: [\n")
            daemon.wait_for(lambda page: page.value("redis_exporter_web_config_valid") == 0)
            eventually(
                lambda: (value(prometheus, 'count_over_time(up{job="secure"}[5m])') or 0) >= (scrapes or 0) + 4,
                "four more scrapes",
            )
            write_config(folder, tls_server_config=TLS, basic_auth_users=users)
            daemon.wait_for(lambda page: page.value("redis_exporter_web_config_valid") == 1)
            assert value(prometheus, 'min_over_time(up{job="secure"}[5m])') == 1
        assert daemon.log.count("the previous one stays in force") <= 2
        assert daemon.log.count("is not valid YAML") == 1


def test_stop_does_not_wait_for_an_unfinished_handshake(certificates: Certificates, tmp_path: Path) -> None:
    write_config(certificates.folder, tls_server_config=TLS)
    with (
        SecureDaemon(tmp_path / "pulse", certificates) as daemon,
        socket.create_connection(("127.0.0.1", daemon.port)) as idle,
    ):
        assert daemon.get("/-/healthy")[0] == 200
        assert daemon.stop() < 5
        assert idle.recv(1) == b""


def value(prometheus: Prometheus, expression: str) -> float | None:
    series = prometheus.query(expression)
    return float(series[0]["value"][1]) if series else None


def test_flood_of_wrong_logins_does_not_delay_the_scrapes(certificates: Certificates, tmp_path: Path) -> None:
    """The attacker has the address of the scraper. The login of the scraper is remembered, so it does not wait."""
    write_config(certificates.folder, tls_server_config=TLS, basic_auth_users=USERS)
    with SecureDaemon(tmp_path / "pulse", certificates) as daemon:
        stopping = threading.Event()
        statuses: list[int] = []

        def flood() -> None:
            connection = daemon.connect()
            while not stopping.is_set():
                connection.request("GET", "/metrics", headers=login_header(f"wrong-{len(statuses)}"))
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
            connection.close()

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            longest = 0.0
            for _ in range(20):
                stopwatch = Stopwatch()
                assert daemon.get("/metrics")[0] == 200
                longest = max(longest, stopwatch.seconds)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        assert set(statuses) == {401, 429}
        assert longest < 5, "the timeout of a scrape is 10 s"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "tls_server_config:\n  cert_file: none.crt\n  key_file: server.key\n",
            "web.yml:2: tls_server_config.cert_file",
        ),
        ("", "web.yml is empty"),
    ],
)
def test_daemon_does_not_start_with_a_broken_file(
    certificates: Certificates, tmp_path: Path, text: str, problem: str
) -> None:
    """Otherwise its pages would be open."""
    (certificates.folder / "web.yml").write_text(text)
    with pytest.raises(AssertionError, match=r"exit code 1"), SecureDaemon(tmp_path / "pulse", certificates) as daemon:
        daemon.kill()
    assert problem in (tmp_path / "pulse" / "stderr.log").read_text()


def test_file_of_the_documentation_of_other_exporters_works_unchanged(
    certificates: Certificates, tmp_path: Path
) -> None:
    """The file has the users alice and bob, whose passwords are not published, and a rate limit."""
    example: dict[str, Any] = {
        "tls_server_config": TLS,
        "basic_auth_users": {
            "alice": "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze",
            "bob": "$2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m",
        },
        "http_server_config": {"http2": True},
        "rate_limit": {"interval": "1s", "burst": 200},
    }
    example["basic_auth_users"] |= USERS
    write_config(certificates.folder, **example)
    with SecureDaemon(tmp_path / "pulse", certificates) as daemon:
        assert daemon.get("/metrics")[0] == 200
        assert daemon.log.count("http2 has no effect") == 1
