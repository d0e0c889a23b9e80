"""A part of the metrics is asked for by name; a request can choose, and can bring no host and no credential along."""

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest

from redis_pulse.web import MetricsFilter
from tests.web.fakes import DOWN, UP, FakeDaemon, client

SIX = replace(UP, name="six", address="[2001:db8::7]:6379")
SOCKET = replace(UP, name="local", address="/run/redis.sock")


async def get(daemon: FakeDaemon, path: str) -> httpx.Response:
    async with client(daemon) as http:
        return await http.get(path)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        *(("queue", "queue"), ("10.0.0.7:6379", "queue"), ("redis://10.0.0.7:6379", "queue"), ("10.0.0.7", "queue")),
        *(("rediss://10.0.0.7:6379/3", "queue"), ("[2001:db8::7]:6379", "six"), ("redis://[2001:db8::7]", "six")),
        *(("/run/redis.sock", "local"), ("unix:///run/redis.sock", "local")),
    ],
)
async def test_a_target_is_known_by_its_name_its_address_and_a_url_of_its_address(asked: str, name: str) -> None:
    daemon = FakeDaemon(views=[UP, DOWN, SIX, SOCKET])
    answer = await get(daemon, f"/scrape?target={quote(asked, safe='')}")
    assert (answer.status_code, answer.content) == (200, b"redis_up 1\n")
    assert daemon.parts == [(name, MetricsFilter())]


async def test_a_target_that_is_not_known_gets_404_and_what_is_similar() -> None:
    daemon = FakeDaemon(views=[UP, DOWN])
    answer = await get(daemon, "/scrape?target=cach")
    assert answer.status_code == 404
    assert answer.text == "no target is known as 'cach', neither by name nor by address: did you mean cache?\n"
    assert (daemon.parts, daemon.scrapes_failed) == ([], 1)


async def test_without_anything_similar_it_says_what_there_is() -> None:
    answer = await get(FakeDaemon(views=[UP, DOWN]), "/scrape?target=zzz")
    assert "known are cache, queue" in answer.text
    many = [replace(UP, name=f"t{number}") for number in range(30)]
    assert "t19 and 10 more" in (await get(FakeDaemon(views=many), "/scrape?target=zzz")).text
    assert "no target is known" in (await get(FakeDaemon(views=[]), "/scrape?target=zzz")).text


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        ("check-keys", "set collectors: {keys: {patterns: […]}} for this target"),
        ("check-single-keys", "keys: {keys:"),
        ("count-keys", "key_counts: {patterns:"),
        ("check-streams", "streams: {patterns:"),
        ("check-single-streams", "streams: {streams:"),
        ("tls_server_name", "`redis-pulse migrate-flags -- -tls-server-name=…`"),
        ("tls-server-name", "tls: {server_name:"),
    ],
)
async def test_what_a_request_tells_redis_exporter_is_not_passed_over_in_silence(key: str, cure: str) -> None:
    """A job that comes over would otherwise be answered 200, and its keys would be missing."""
    daemon = FakeDaemon()
    answer = await get(daemon, f"/scrape?target=cache&{key}=hunter2:*")
    assert (answer.status_code, daemon.parts, daemon.scrapes_failed) == (400, [], 1)
    assert answer.text.startswith(f"{key}: a request cannot say what is read here, the configuration does")
    assert cure in answer.text
    assert "hunter2" not in answer.text
    assert (await get(daemon, f"/scrape?target=cache&{key}=")).status_code == 200


@pytest.mark.parametrize("query", ["", "?target=", "?target=cache&target=queue", "?target=%20"])
async def test_a_request_that_names_no_target_or_several_gets_400(query: str) -> None:
    daemon = FakeDaemon()
    answer = await get(daemon, f"/scrape{query}")
    assert (answer.status_code, daemon.scrapes_failed) == (400, 1)
    assert "/scrape?target=NAME" in answer.text


@pytest.mark.parametrize(
    "trick",
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
async def test_no_trick_leads_anywhere_but_to_a_refusal(trick: str) -> None:
    daemon = FakeDaemon(views=[UP, DOWN])
    answer = await get(daemon, f"/scrape?target={quote(trick, safe='')}")
    assert answer.status_code in (400, 404)
    assert daemon.parts == []


async def test_a_password_in_a_request_is_neither_used_nor_repeated() -> None:
    daemon = FakeDaemon(views=[UP, DOWN])
    answer = await get(daemon, "/scrape?target=" + quote("redis://me:hunter2@10.0.0.7:6379", safe=""))
    assert answer.status_code == 400
    assert "hunter2" not in answer.text
    assert daemon.parts == []


async def test_collectors_and_names_can_be_chosen_on_both_pages() -> None:
    daemon = FakeDaemon()
    query = "collectors[]=info&collectors[]=slowlog&name[]=redis_up"
    wanted = MetricsFilter(frozenset({"info", "slowlog"}), frozenset({"redis_up"}))
    assert (await get(daemon, f"/metrics?{query}")).status_code == 200
    assert (await get(daemon, f"/scrape?target=cache&{query}")).status_code == 200
    assert daemon.parts == [(None, wanted), ("cache", wanted)]


@pytest.mark.parametrize("only", ["exporter", "targets"])
async def test_the_daemon_itself_or_the_targets_can_be_left_out(only: str) -> None:
    daemon = FakeDaemon()
    assert (await get(daemon, f"/metrics?only={only}")).status_code == 200
    assert daemon.parts == [(None, MetricsFilter(only=only))]  # type: ignore[arg-type]


async def test_a_scrape_that_chooses_nothing_gathers_no_names() -> None:
    class Busy(FakeDaemon):
        def metric_names(self) -> Sequence[str]:
            raise AssertionError("this collects every family of the daemon")

    assert (await get(Busy(), "/scrape?target=cache")).status_code == 200


async def test_other_parameters_of_the_metrics_page_do_not_matter() -> None:
    daemon = FakeDaemon()
    assert (await get(daemon, "/metrics?target=cache")).status_code == 200
    assert daemon.parts == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("collectors[]=inf", "collectors[]: no collector is named 'inf': did you mean info?"),
        ("name[]=redis_upp", "name[]: no metric is named 'redis_upp': did you mean redis_up?"),
        ("only=me", "only: must be exporter, for the metrics of the daemon itself, or targets"),
        ("name[]=nonsense", "name[]: no metric is named 'nonsense'"),
    ],
)
@pytest.mark.parametrize("page", ["/metrics?", "/scrape?target=cache&"])
async def test_a_choice_that_is_not_there_gets_400_and_what_is_similar(page: str, query: str, says: str) -> None:
    answer = await get(FakeDaemon(), page + query)
    assert (answer.status_code, answer.text) == (400, says + "\n")


async def test_service_discovery_lists_every_target_with_its_labels() -> None:
    answer = await get(FakeDaemon(views=[UP, replace(DOWN, labels={})]), "/sd")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text) == [
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


async def test_service_discovery_of_a_thousand_targets_is_whole_json() -> None:
    views = [replace(UP, name=f"t{number}") for number in range(1000)]
    assert len(json.loads((await get(FakeDaemon(views=views), "/sd")).text)) == 1000


async def test_without_targets_service_discovery_is_an_empty_list() -> None:
    assert json.loads((await get(FakeDaemon(views=[]), "/sd")).text) == []
