"""Tests of queries: a request selects targets and metrics by name, and can add no host and no credential."""

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest

from redis_pulse.web import MetricsFilter
from redis_pulse.web.query import QueryError, scrape_seconds
from tests.web.fakes import DOWN, UP, FakeAdoption, FakeDaemon, client

SIX = replace(UP, name="six", address="[2001:db8::7]:6379")
SOCKET = replace(UP, name="local", address="/run/redis.sock")


async def get(daemon: FakeDaemon, path: str) -> httpx.Response:
    async with client(daemon) as http:
        return await http.get(path)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        *(("queue", "queue"), ("10.0.0.7:6379", "queue"), ("redis://10.0.0.7:6379", "queue"), ("10.0.0.7", "queue")),
        *(("rediss://10.0.0.7:6379/3", "queue"), ("[2001:db8::7]:6379", "six"), ("redis://[2001:db8::7]", "six")),
        *(("/run/redis.sock", "local"), ("unix:///run/redis.sock", "local")),
    ],
)
async def test_target_is_found_by_name_address_and_url(target: str, name: str) -> None:
    daemon = FakeDaemon(views=[UP, DOWN, SIX, SOCKET])
    response = await get(daemon, f"/scrape?target={quote(target, safe='')}")
    assert (response.status_code, response.content) == (200, b"redis_up 1\n")
    assert daemon.filtered == [(name, MetricsFilter())]


async def test_unknown_target_gets_404_and_a_similar_name() -> None:
    daemon = FakeDaemon(views=[UP, DOWN])
    response = await get(daemon, "/scrape?target=cach")
    assert response.status_code == 404
    assert response.text == "no target has the name or address 'cach': did you mean cache?\n"
    assert (daemon.filtered, daemon.scrapes_failed) == ([], 1)


async def test_unknown_target_without_similar_name_gets_all_names() -> None:
    response = await get(FakeDaemon(views=[UP, DOWN]), "/scrape?target=zzz")
    assert "known targets are cache, queue" in response.text
    many = [replace(UP, name=f"t{number}") for number in range(30)]
    assert "t19 and 10 more" in (await get(FakeDaemon(views=many), "/scrape?target=zzz")).text
    assert "no target is configured" in (await get(FakeDaemon(views=[]), "/scrape?target=zzz")).text


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("check-keys", "set collectors: {keys: {patterns: […]}} for this target in the configuration"),
        ("check-single-keys", "keys: {keys:"),
        ("count-keys", "key_counts: {patterns:"),
        ("check-streams", "streams: {patterns:"),
        ("check-single-streams", "streams: {streams:"),
        ("tls_server_name", "`redis-pulse migrate-flags -- -tls-server-name=…`"),
        ("tls-server-name", "tls: {server_name:"),
    ],
)
async def test_parameter_of_redis_exporter_is_refused_with_a_hint(key: str, hint: str) -> None:
    """A scrape job written for redis_exporter would otherwise get 200, and its keys would be missing."""
    daemon = FakeDaemon()
    response = await get(daemon, f"/scrape?target=cache&{key}=hunter2:*")
    assert (response.status_code, daemon.filtered, daemon.scrapes_failed) == (400, [], 1)
    assert response.text.startswith(f"{key}: a request cannot choose what is read here")
    assert hint in response.text
    assert "hunter2" not in response.text
    assert (await get(daemon, f"/scrape?target=cache&{key}=")).status_code == 200


@pytest.mark.parametrize("query", ["", "?target=", "?target=cache&target=queue", "?target=%20"])
async def test_scrape_without_exactly_one_target_gets_400(query: str) -> None:
    daemon = FakeDaemon()
    response = await get(daemon, f"/scrape{query}")
    assert (response.status_code, daemon.scrapes_failed) == (400, 1)
    assert "/scrape?target=NAME" in response.text


@pytest.mark.parametrize(
    "target",
    [
        *("evil.example.org:6379", "redis://evil.example.org", "http://169.254.169.254/latest", "unix:///etc/passwd"),
        *("cache.evil.example.org", "cache#@evil", "10.0.0.7:6379@evil.example.org", "redis://10.0.0.7:6379@evil:1"),
        *("[::1]:6379", "[::ffff:10.0.0.7]:6379", "0x0a000007:6379", "cache\r\nHost: evil", "../cache", "//evil"),
        *(
            "10.0.0.7:6379/..;/",
            "10.0.0.7:99999",
            "10.0.0.7:6379,evil:1",
            "\x00cache",
            "\uff43ache",
            "redis:///",
            "redis://",
        ),
    ],
)
async def test_manipulated_target_is_refused(target: str) -> None:
    daemon = FakeDaemon(views=[UP, DOWN])
    response = await get(daemon, f"/scrape?target={quote(target, safe='')}")
    assert response.status_code in (400, 404)
    assert daemon.filtered == []


@pytest.mark.parametrize("page", ["/scrape", "/redis/ping"])
async def test_password_in_a_request_is_neither_used_nor_repeated(page: str) -> None:
    daemon = FakeDaemon(views=[UP, DOWN])
    response = await get(daemon, f"{page}?target=" + quote("redis://me:hunter2@10.0.0.7:6379", safe=""))
    assert response.status_code == 400
    assert "hunter2" not in response.text
    assert daemon.filtered == []


async def test_collectors_and_names_are_selected_on_both_pages() -> None:
    daemon = FakeDaemon()
    query = "collectors[]=info&collectors[]=slowlog&name[]=redis_up"
    metrics_filter = MetricsFilter(frozenset({"info", "slowlog"}), frozenset({"redis_up"}))
    assert (await get(daemon, f"/metrics?{query}")).status_code == 200
    assert (await get(daemon, f"/scrape?target=cache&{query}")).status_code == 200
    assert daemon.filtered == [(None, metrics_filter), ("cache", metrics_filter)]


@pytest.mark.parametrize("only", ["exporter", "targets"])
async def test_daemon_or_targets_can_be_left_out(only: str) -> None:
    daemon = FakeDaemon()
    assert (await get(daemon, f"/metrics?only={only}")).status_code == 200
    assert daemon.filtered == [(None, MetricsFilter(only=only))]  # type: ignore[arg-type]


async def test_scrape_without_filters_gathers_no_names() -> None:
    class DaemonWithoutNames(FakeDaemon):
        def metric_names(self) -> Sequence[str]:
            raise AssertionError("gathering the names is expensive")

    assert (await get(DaemonWithoutNames(), "/scrape?target=cache")).status_code == 200


async def test_other_parameters_of_the_metrics_page_are_ignored() -> None:
    daemon = FakeDaemon()
    assert (await get(daemon, "/metrics?target=cache")).status_code == 200
    assert daemon.filtered == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("collectors[]=inf", "collectors[]: no collector is named 'inf': did you mean info?"),
        ("name[]=redis_upp", "name[]: no metric is named 'redis_upp': did you mean redis_up?"),
        ("only=me", "only: must be exporter, for the metrics of the daemon itself, or targets"),
        ("name[]=nonsense", "name[]: no metric is named 'nonsense'"),
    ],
)
@pytest.mark.parametrize("page", ["/metrics?", "/scrape?target=cache&"])
async def test_unknown_filter_gets_400_and_a_similar_name(page: str, query: str, text: str) -> None:
    response = await get(FakeDaemon(), page + query)
    assert (response.status_code, response.text) == (400, text + "\n")


async def test_service_discovery_lists_every_target_with_its_labels() -> None:
    response = await get(FakeDaemon(views=[UP, replace(DOWN, labels={})]), "/sd")
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.text) == [
        {
            "targets": ["127.0.0.1:6379"],
            "labels": {
                "team": "web",
                "__metrics_path__": "/scrape",
                "__param_target": "cache",
                "instance": "127.0.0.1:6379",
            },
        },
        {
            "targets": ["10.0.0.7:6379"],
            "labels": {"__metrics_path__": "/scrape", "__param_target": "queue", "instance": "10.0.0.7:6379"},
        },
    ]


async def test_service_discovery_of_a_thousand_targets_is_complete() -> None:
    views = [replace(UP, name=f"t{number}") for number in range(1000)]
    assert len(json.loads((await get(FakeDaemon(views=views), "/sd")).text)) == 1000


async def test_service_discovery_without_targets_is_an_empty_list() -> None:
    assert json.loads((await get(FakeDaemon(views=[]), "/sd")).text) == []


@pytest.mark.parametrize("target", ["redis://10.0.0.9?password=hunter2", "u:hunter2@10.0.0.9", "10.0.0.9?username=a"])
async def test_credentials_in_a_target_are_not_repeated(target: str) -> None:
    for adoption in (FakeAdoption(), FakeAdoption(is_enabled=True)):
        response = await get(FakeDaemon(adoption=adoption), f"/scrape?target={quote(target, safe='')}")
        assert response.status_code == 400
        assert "10.0.0.9" not in response.text
        assert adoption.calls == []


async def test_target_that_is_not_monitored_is_adopted_if_that_is_enabled() -> None:
    daemon = FakeDaemon(adoption=FakeAdoption(is_enabled=True))
    response = await get(daemon, "/scrape?target=redis://10.0.0.7:6379&module=prod")
    assert (response.status_code, response.content) == (200, b"redis_up 1\n")
    assert daemon.adoption.calls == [("redis://10.0.0.7:6379", None, "prod", 5.0)]


async def test_monitored_target_is_passed_with_its_name() -> None:
    daemon = FakeDaemon(adoption=FakeAdoption(is_enabled=True))
    await get(daemon, "/scrape?target=127.0.0.1:6379")
    assert daemon.adoption.calls == [("127.0.0.1:6379", "cache", None, 5.0)]


async def test_refusal_of_a_target_reaches_the_client_and_is_counted() -> None:
    error = QueryError(403, "10.0.0.7:6379 is not in scrape.adopt.allow")
    daemon = FakeDaemon(adoption=FakeAdoption(is_enabled=True, error=error))
    response = await get(daemon, "/scrape?target=10.0.0.7:6379")
    assert (response.status_code, response.text) == (403, f"{error}\n")
    assert daemon.scrapes_failed == 1


async def test_bad_filter_adopts_nothing() -> None:
    daemon = FakeDaemon(adoption=FakeAdoption(is_enabled=True))
    assert (await get(daemon, "/scrape?target=10.0.0.7&collectors[]=none")).status_code == 400
    assert (await get(daemon, "/scrape?target=10.0.0.7&module=a&module=b")).status_code == 400
    assert daemon.adoption.calls == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        *((None, 5.0), ("", 5.0), ("x", 5.0), ("nan", 5.0), ("inf", 5.0), ("-1", 5.0), ("0", 5.0)),
        *(("10.000000", 9.5), ("1", 0.8), ("0.1", 0.08), ("3600", 50.0)),
    ],
)
def test_first_scrape_answers_before_the_announced_timeout(header: str | None, expected: float) -> None:
    assert scrape_seconds(header) == pytest.approx(expected)


async def test_health_does_not_depend_on_adopted_targets() -> None:
    """A probe of Kubernetes would otherwise restart a daemon because a scrape named a server that is down."""
    adopted = replace(DOWN, is_adopted=True)
    for views in ([UP, adopted], [adopted], []):
        response = await get(FakeDaemon(views=views, adoption=FakeAdoption(is_enabled=True)), "/health")
        assert (response.status_code, response.json()["status"]) == (200, "healthy")
    stuck = FakeDaemon(views=[], adoption=FakeAdoption(is_enabled=True), is_healthy=False)
    assert (await get(stuck, "/health")).status_code == 503
