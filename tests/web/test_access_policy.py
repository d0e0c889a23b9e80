"""Host, Origin and Sec-Fetch-Site: which names get a response, and what a page of another site cannot do."""

import pytest

from redis_pulse.web import build
from redis_pulse.web.access_policy import (
    ACTION,
    PAGE,
    POLICIES,
    PROBE,
    SCRAPED,
    HostRules,
    PathPolicy,
    RequestRefusedError,
    host_name,
    is_loopback,
)
from tests.web.fakes import FakeDaemon

RULES = HostRules(own_name="monitor-7.example.org")
LISTED = HostRules(allowed=("pulse.example.com", "*.corp.example"), own_name="monitor-7.example.org")


def check(rules: HostRules, host: str, policy: PathPolicy, *, has_login: bool = False) -> int:
    """Return the status of a refusal, or 200."""
    try:
        rules.check_host([host], http_version="1.1", policy=policy, has_login=has_login)
    except RequestRefusedError as error:
        return error.status if error.status != 403 or "web.allowed_hosts" in str(error) else -1
    return 200


def test_every_route_has_a_policy() -> None:
    router = build(FakeDaemon())._app  # type: ignore[attr-defined]
    assert {route.path for route in router.routes} <= POLICIES.keys()
    assert all(route.endpoint.policy is POLICIES[route.path] for route in router.routes)


def test_paths_of_prometheus_and_kubelets_are_the_documented_ones() -> None:
    assert {path for path, policy in POLICIES.items() if policy is SCRAPED} == {"/metrics", "/scrape", "/sd", "/health"}
    assert {path for path, policy in POLICIES.items() if policy is PROBE} == {"/-/healthy", "/-/ready"}
    assert {path for path, policy in POLICIES.items() if policy is ACTION} == {"/-/reload"}


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:9121", "10.1.2.3", "[::1]:9121", "[fe80::1]", "localhost:9121", "LOCALHOST", "localhost."),
        *("redis-pulse:9121", "monitor-7.example.org", "redis-pulse.monitoring.svc:9121"),
        *("redis-pulse.monitoring.svc.cluster.local", "host.docker.internal:9121"),
    ],
)
@pytest.mark.parametrize("policy", [PAGE, ACTION, SCRAPED, PROBE])
def test_name_that_no_foreign_site_can_have_gets_every_page(host: str, policy: PathPolicy) -> None:
    assert check(RULES, host, policy) == check(LISTED, host, policy) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:9121", "127.0.0.1.evil.example", "localhost.evil.example", "pulse.example.com"),
        *("x.svc.evil.example", "internal.example", "monitor-7.example.org.evil.example", "0x7f.0.0.1", ""),
    ],
)
def test_other_name_gets_no_page_for_people_without_a_login(host: str) -> None:
    assert check(RULES, host, PAGE) == check(RULES, host, ACTION) == 403
    assert check(RULES, host, SCRAPED) == check(RULES, host, PROBE) == 200
    assert check(RULES, host, PAGE, has_login=True) == 200


@pytest.mark.parametrize("policy", [PAGE, ACTION, SCRAPED, PROBE])
def test_list_of_hosts_holds_for_every_path_and_with_a_login(policy: PathPolicy) -> None:
    for host in ("pulse.example.com:9121", "a.corp.example", "A.B.Corp.Example."):
        assert check(LISTED, host, policy, has_login=True) == check(LISTED, host, policy) == 200
    for host in ("evil.example", "corp.example", "xcorp.example", "pulse.example.com.evil.example"):
        assert check(LISTED, host, policy, has_login=True) == check(LISTED, host, policy) == 403


@pytest.mark.parametrize("host", ["a b", "user@localhost", "localhost/x", "[::1", "a:b", "localhost:123456"])
def test_value_that_is_no_host_is_a_bad_request(host: str) -> None:
    assert check(RULES, host, PAGE) == 400


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [([], "1.1", 400), (["localhost", "localhost"], "1.1", 400), (["a", "b"], "1.0", 400), ([], "1.0", 200)],
)
def test_request_has_exactly_one_host(hosts: list[str], version: str, status: int) -> None:
    if status == 200:
        assert RULES.check_host(hosts, http_version=version, policy=PAGE, has_login=False) == ""
        return
    with pytest.raises(RequestRefusedError) as caught:
        RULES.check_host(hosts, http_version=version, policy=SCRAPED, has_login=True)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("host", "origins", "sites"),
    [
        ("localhost:9121", [], []),
        ("localhost:9121", ["http://localhost:9121"], ["same-origin"]),
        ("localhost:9121", [], ["none"]),
        ("pulse.example.com", ["https://pulse.example.com"], ["same-origin"]),
        ("[::1]:9121", ["http://[::1]:9121"], []),
        ("localhost", ["http://localhost:80"], []),
        # A proxy replaced the Host header, or another site may do this.
        ("redis-pulse:9121", ["https://pulse.example.com"], ["same-origin"]),
        ("redis-pulse:9121", ["https://grafana.corp.example"], ["cross-site"]),
    ],
)
def test_request_of_the_same_site_is_permitted(host: str, origins: list[str], sites: list[str]) -> None:
    LISTED.check_origin(host, origins, sites)


@pytest.mark.parametrize(
    ("host", "origins", "sites"),
    [
        ("localhost:9121", ["http://evil.example"], []),
        ("localhost:9121", ["null"], []),
        ("localhost:9121", ["http://localhost:8000"], []),
        ("localhost:9121", ["http://localhost"], []),
        ("localhost:9121", ["http://localhost:9121", "http://localhost:9121"], []),
        ("localhost:9121", ["http://localhost:9121"], ["cross-site"]),
        ("localhost:9121", [], ["cross-site"]),
        ("localhost:9121", [], ["same-site"]),
        ("localhost:9121", [], ["none", "cross-site"]),
        ("localhost:9121", ["chrome-extension://abc"], []),
        ("localhost:9121", ["http://localhost:99999"], []),
    ],
)
def test_request_of_another_site_is_refused(host: str, origins: list[str], sites: list[str]) -> None:
    with pytest.raises(RequestRefusedError, match=r"web\.allowed_hosts") as caught:
        LISTED.check_origin(host, origins, sites)
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("value", "name"), [("A.B:1", "a.b"), ("[::1]:1", "[::1]"), ("a.", "a"), (" a ", "a"), ("a b", None)]
)
def test_name_of_a_host_header(value: str, name: str | None) -> None:
    assert host_name(value) == name


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_recognized(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
