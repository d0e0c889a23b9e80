"""Who gets a response: every path without a login, with a password, with a token, from here and from elsewhere."""

import base64
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from redis_pulse.config import WebSettings
from redis_pulse.web import AccessControl, WebConfigWatcher, build
from redis_pulse.web.access_control import WRONG_LOGIN_DELAY
from redis_pulse.web.access_policy import POLICIES
from redis_pulse.web.passwords import LoginsBusyError, PasswordVerifier
from tests.fakes import ManualClock
from tests.web.certificates import Certificates, write_config
from tests.web.fakes import FakeDaemon

USERS = {"alice": bcrypt.hashpw("p:ss wörd".encode(), bcrypt.gensalt(4)).decode()}
RIGHT = ("alice", "p:ss wörd")
ADDRESS = "http://10.1.1.1:9121"
TOKEN = "token-0123456789-abcdef"
READ_PATHS = [
    "/",
    "/metrics",
    "/scrape?target=cache",
    "/sd",
    "/stalls",
    "/keyspace",
    "/health",
    "/config",
    "/api/v1/status",
    "/api/v1/openapi.json",
    "/redis/ping",
    "/redis/stats",
]
PROBES = ["/-/healthy", "/-/ready"]


class Pages:
    """The pages with their access control, for requests without a socket."""

    def __init__(self, settings: WebSettings | None = None, watcher: WebConfigWatcher | None = None) -> None:
        self.daemon = FakeDaemon()
        self.clock = ManualClock()
        self.sleeps: list[float] = []
        access = AccessControl(settings, watcher, host_name="monitor-7", clock=self.clock, sleep=self._sleep)
        self.app = build(self.daemon, access=access)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)

    async def request(
        self,
        path: str,
        method: str = "GET",
        *,
        client: str = "10.0.0.9",
        url: str = "http://10.1.1.1:9121",
        **options: Any,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(client, 1234))
        async with httpx.AsyncClient(transport=transport, base_url=url) as http:
            return await http.request(method, path, **options)

    async def status(self, path: str, method: str = "GET", **options: Any) -> int:
        return (await self.request(path, method, **options)).status_code


async def protected(folder: Path, settings: WebSettings | None = None, **sections: Any) -> Pages:
    watcher = WebConfigWatcher(write_config(folder, **sections), on_valid=lambda _valid: None)
    await watcher.start()
    return Pages(settings, watcher)


@pytest.mark.parametrize("path", READ_PATHS + PROBES)
async def test_without_a_login_every_page_is_open(path: str) -> None:
    assert await Pages().status(path) == 200


@pytest.mark.parametrize("path", [*READ_PATHS, *PROBES, "/nowhere"])
async def test_with_a_login_every_page_needs_it(path: str, tmp_path: Path) -> None:
    pages = await protected(tmp_path, basic_auth_users=USERS)
    response = await pages.request(path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Basic realm="redis-pulse", charset="UTF-8"'
    assert await pages.status(path, auth=("alice", "wrong")) == 401
    assert await pages.status(path, auth=("mallory", RIGHT[1])) == 401
    assert await pages.status(path, auth=RIGHT) == (404 if path == "/nowhere" else 200)


def test_every_path_is_tested() -> None:
    known = {path.partition("?")[0] for path in [*READ_PATHS, *PROBES]} | {"/-/reload"}
    served = {route.path for route in Pages().app._app.routes}  # type: ignore[attr-defined]
    assert served == known
    assert served <= POLICIES.keys()


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic " + base64.b64encode(b"alice").decode(),
            "Digest x",
            "Bearer " + TOKEN,
        ),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + "A" * 20_000,
    ],
)
async def test_unusable_login_is_401(header: str, tmp_path: Path) -> None:
    pages = await protected(tmp_path, basic_auth_users=USERS)
    assert await pages.status("/metrics", headers={"authorization": header}) == 401


async def test_two_logins_in_one_request_are_401(tmp_path: Path) -> None:
    pages = await protected(tmp_path, basic_auth_users=USERS)
    login = "Basic " + base64.b64encode(":".join(RIGHT).encode()).decode()
    assert await pages.status("/metrics", headers=[("authorization", login)]) == 200
    assert await pages.status("/metrics", headers=[("authorization", login), ("authorization", login)]) == 401


async def test_token_of_the_file_is_a_login(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nnext-{TOKEN}\n")
    pages = await protected(tmp_path, bearer_token_file="token")
    assert (await pages.request("/metrics")).headers["www-authenticate"].startswith("Bearer ")
    for token, status in ((TOKEN, 200), (f"next-{TOKEN}", 200), (TOKEN[:-1], 401), ("", 401), ("tökën", 401)):
        header = f"bearer {token}".encode("latin-1")
        assert await pages.status("/metrics", headers=[(b"authorization", header)]) == status


async def test_password_or_token_is_enough_if_both_are_set(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    pages = await protected(tmp_path, bearer_token_file="token", basic_auth_users=USERS)
    assert len((await pages.request("/metrics")).headers.get_list("www-authenticate")) == 2
    assert await pages.status("/metrics", auth=RIGHT) == 200
    assert await pages.status("/metrics", headers={"authorization": f"Bearer {TOKEN}"}) == 200


@pytest.mark.parametrize("path", PROBES)
async def test_probes_are_open_only_if_the_setting_says_so(path: str, tmp_path: Path) -> None:
    pages = await protected(tmp_path, WebSettings(open_probes=True), basic_auth_users=USERS)
    assert await pages.status(path) == 200
    assert await pages.status("/metrics") == await pages.status("/health") == 401


async def test_login_that_cannot_wait_is_429(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_busy(*_: object) -> bool:
        raise LoginsBusyError

    monkeypatch.setattr(PasswordVerifier, "is_right", is_busy)
    pages = await protected(tmp_path, basic_auth_users=USERS)
    response = await pages.request("/metrics", auth=RIGHT)
    assert response.status_code == 429
    assert "too many logins of this address are being verified" in response.text
    assert pages.sleeps == [WRONG_LOGIN_DELAY]


async def test_wrong_login_waits_and_no_other_request_does(tmp_path: Path) -> None:
    """A client that sends logins one after the other would otherwise take the event loop for itself."""
    pages = await protected(tmp_path, basic_auth_users=USERS)
    assert await pages.status("/metrics") == 401
    assert await pages.status("/metrics", auth=RIGHT) == 200
    assert pages.sleeps == []
    assert await pages.status("/metrics", auth=("alice", "wrong")) == 401
    assert await pages.status("/metrics", headers={"Authorization": "Bearer wrong"}) == 401
    assert pages.sleeps == [WRONG_LOGIN_DELAY] * 2


async def test_excluded_paths_need_no_login(tmp_path: Path) -> None:
    pages = await protected(tmp_path, basic_auth_users=USERS, auth_excluded_paths=["/-/healthy", "/-/reload"])
    assert await pages.status("/-/healthy") == 200
    assert await pages.status("/-/ready") == 401
    # Without a login a reload works on the same machine only.
    assert await pages.status("/-/reload", "POST") == 403
    assert await pages.status("/-/reload", "POST", client="127.0.0.1") == 200


async def test_reload_without_a_login_works_on_the_same_machine_only() -> None:
    pages = Pages()
    refused = await pages.request("/-/reload", "POST")
    assert refused.status_code == 403
    assert "web.remote_reload" in refused.text
    assert pages.daemon.reloads == 0
    for client in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert await pages.status("/-/reload", "POST", client=client) == 200
    assert await Pages(WebSettings(remote_reload=True)).status("/-/reload", "POST") == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_reload_through_a_proxy_on_the_same_machine_needs_a_login(header: str) -> None:
    pages = Pages()
    assert await pages.status("/-/reload", "POST", client="127.0.0.1", headers={header: "10.0.0.9"}) == 403
    assert pages.daemon.reloads == 0


async def test_reload_with_a_login_works_from_everywhere(tmp_path: Path) -> None:
    pages = await protected(tmp_path, basic_auth_users=USERS)
    assert await pages.status("/-/reload", "POST", client="127.0.0.1") == 401
    assert await pages.status("/-/reload", "POST", auth=RIGHT) == 200
    assert await pages.status("/-/reload", "POST", auth=RIGHT, url="http://pulse.example.com") == 200
    headers = {"origin": "http://evil.example"}
    assert await pages.status("/-/reload", "POST", auth=RIGHT, headers=headers) == 403
    assert pages.daemon.reloads == 2


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
async def test_page_of_another_site_cannot_reload(headers: dict[str, str]) -> None:
    pages = Pages()
    response = await pages.request(
        "/-/reload", "POST", client="127.0.0.1", url="http://localhost:9121", headers=headers
    )
    assert response.status_code == 403
    assert "web.allowed_hosts" in response.text
    assert pages.daemon.reloads == 0


@pytest.mark.parametrize("path", ["/", "/stalls", "/redis/ping", "/redis/stats", "/nowhere"])
async def test_foreign_name_gets_no_page_for_people(path: str) -> None:
    pages = Pages()
    response = await pages.request(path, client="127.0.0.1", url="http://evil.example:9121")
    assert response.status_code == 403
    assert "web.allowed_hosts" in response.text
    assert await pages.status("/-/reload", "POST", client="127.0.0.1", url="http://evil.example:9121") == 403


@pytest.mark.parametrize("path", ["/metrics", "/scrape?target=cache", "/sd", "/health", *PROBES])
async def test_paths_of_prometheus_accept_any_name_unless_some_are_listed(path: str) -> None:
    url = "http://pulse.example.com:9121"
    assert await Pages().status(path, url=url) == 200
    assert await Pages(WebSettings(allowed_hosts=("other.example.com",))).status(path, url=url) == 403
    assert await Pages(WebSettings(allowed_hosts=("pulse.example.com",))).status(path, url=url) == 200


async def test_rate_limit_is_429_for_the_address_that_exceeds_it(tmp_path: Path) -> None:
    pages = await protected(tmp_path, rate_limit={"interval": "1s", "burst": 2}, basic_auth_users=USERS)
    statuses = [await pages.status("/metrics", auth=("alice", "wrong"), client="2001:db8::1") for _ in range(3)]
    assert statuses == [401, 401, 429]
    assert await pages.status("/metrics", auth=RIGHT, client="2001:db8::2") == 429  # the same network
    assert await pages.status("/metrics", auth=RIGHT, client="10.0.0.1") == 200
    pages.clock.advance(1)
    assert await pages.status("/metrics", auth=RIGHT, client="2001:db8::2") == 200


async def test_headers_of_the_file_are_in_every_response(tmp_path: Path) -> None:
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "Strict-Transport-Security": "max-age=9",
        "X-Frame-Options": "",
    }
    pages = await protected(tmp_path, http_server_config={"headers": headers}, basic_auth_users=USERS)
    for auth in (None, RIGHT):
        found = (await pages.request("/", auth=auth)).headers
        assert found.get_list("content-security-policy") == ["default-src 'self'"]
        assert found["strict-transport-security"] == "max-age=9"
        assert "x-frame-options" not in found


async def test_connection_that_is_older_than_tls_gets_nothing_any_more(tmp_path: Path) -> None:
    """Otherwise an open connection would bypass a client certificate that is required now."""
    Certificates(tmp_path).issue("server", "localhost")
    tls = {"cert_file": "server.crt", "key_file": "server.key"}
    pages = await protected(tmp_path, tls_server_config=tls)
    response = await pages.request("/metrics")
    assert response.status_code == 426
    assert response.headers["connection"] == "close"
    assert await pages.status("/metrics", url="https://10.1.1.1:9121") == 200


async def test_client_certificate_is_a_login_for_reload_and_host(tmp_path: Path) -> None:
    Certificates(tmp_path).issue("server", "localhost")
    tls = {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.crt"}
    pages = await protected(tmp_path, tls_server_config={**tls, "client_auth_type": "RequireAndVerifyClientCert"})
    assert await pages.status("/-/reload", "POST", url="https://pulse.example.com") == 200
    optional = await protected(tmp_path, tls_server_config={**tls, "client_auth_type": "VerifyClientCertIfGiven"})
    assert await optional.status("/-/reload", "POST", url="https://pulse.example.com") == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        *(({}, 200), ({"User-Agent": "Prometheus/3.5.0"}, 200), ({"User-Agent": "curl/8"}, 200)),
        *(({"User-Agent": "Mozilla/5.0 (X11)"}, 403), ({"Origin": "http://evil.example"}, 403)),
        *(({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Mode": "navigate"}, 403)),
        *(({"Host": "evil.example"}, 403), ({"Host": "redis-pulse.monitoring.svc:9121"}, 200)),
    ],
)
async def test_page_of_another_site_cannot_make_the_exporter_connect(headers: dict[str, str], status: int) -> None:
    """A site could make a browser inside the network send the request, and DNS could give it our address."""
    pages = Pages()
    pages.daemon.adoption.is_enabled = True
    assert await pages.status("/scrape?target=10.0.0.7:6379", headers=headers) == status
    assert len(pages.daemon.adoption.calls) == (status == 200)
    assert pages.daemon.adoption.browsers == (status != 200)
    assert await pages.status("/scrape?target=cache", headers=headers) == 200  # it is monitored already


async def test_name_in_host_does_not_matter_behind_a_login(tmp_path: Path) -> None:
    pages = await protected(tmp_path, basic_auth_users=USERS)
    pages.daemon.adoption.is_enabled = True
    path, headers = "/scrape?target=10.0.0.7:6379", {"Host": "pulse.example.com"}
    assert await pages.status(path, headers=headers) == 401
    assert await pages.status(path, headers=headers, auth=RIGHT) == 200
    assert len(pages.daemon.adoption.calls) == 1
