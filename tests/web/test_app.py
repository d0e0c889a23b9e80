"""Tests of every path with its statuses, headers and bodies, on the application without a socket."""

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message

from redis_pulse.config import telemetry_path_error
from redis_pulse.stalls import StallRecord, Verdict
from redis_pulse.web import MetricsFilter, PendingChange, build
from redis_pulse.web.handlers import Handlers
from redis_pulse.web.late_pages import LatePages
from tests.fakes import ManualClock
from tests.web.fakes import DOWN, UP, FakeDaemon, client

PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
PATHS = (
    "/",
    "/metrics",
    "/scrape?target=cache",
    "/sd",
    "/stalls",
    "/keyspace",
    "/config",
    "/api/v1/status",
    "/api/v1/openapi.json",
    "/health",
    "/-/healthy",
    "/-/ready",
    "/redis/ping",
    "/redis/stats",
)


def test_every_page_is_reserved_and_tested() -> None:
    """A page with a free path could be hidden by ``telemetry_path``."""
    router = build(FakeDaemon())._app  # type: ignore[attr-defined]
    served = {route.path for route in router.routes} - {"/metrics"}
    assert {path for path in served if not telemetry_path_error(path)} == set()
    assert served <= {path.partition("?")[0] for path in PATHS} | {"/-/reload"}


async def get(daemon: FakeDaemon, path: str, method: str = "GET", **options: Any) -> httpx.Response:
    async with client(daemon) as http:
        return await http.request(method, path, **options)


async def test_metrics_are_text_without_accept_header() -> None:
    response = await get(FakeDaemon(), "/metrics", headers={"accept-encoding": "identity"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["vary"] == "Accept, Accept-Encoding"
    assert "content-encoding" not in response.headers
    assert response.content == b"redis_up 1\n"


async def test_metrics_are_compressed_openmetrics_on_request() -> None:
    headers = {"accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1", "accept-encoding": "gzip"}
    async with client(FakeDaemon()) as http, http.stream("GET", "/metrics", headers=headers) as response:
        body = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == b"redis_up 1\n# EOF\n"


async def test_metrics_are_protobuf_for_whoever_prefers_it() -> None:
    """Prometheus prefers it when its native histograms are enabled."""
    daemon = FakeDaemon()
    accept = f"{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.1"
    for path in ("/metrics", "/metrics?name[]=redis_up", "/scrape?target=cache"):
        response = await get(daemon, path, headers={"accept": accept})
        assert response.headers["content-type"] == PROTOBUF
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["vary"] == "Accept, Accept-Encoding"
    names = frozenset({"redis_up"})
    assert daemon.in_protobuf == [
        (None, MetricsFilter()),
        (None, MetricsFilter(names=names)),
        ("cache", MetricsFilter()),
    ]
    assert not daemon.filtered


async def test_accept_header_in_several_lines_is_one_header() -> None:
    lines = [("accept", "text/plain;q=0.1"), ("accept", "application/openmetrics-text")]
    assert "openmetrics" in (await get(FakeDaemon(), "/metrics", headers=lines)).headers["content-type"]


async def test_metrics_are_served_while_every_target_is_down() -> None:
    assert (await get(FakeDaemon(views=[DOWN]), "/metrics")).status_code == 200


async def test_path_of_the_metrics_is_configurable() -> None:
    async with client(FakeDaemon(), telemetry_path="/cache/metrics") as http:
        assert (await http.get("/cache/metrics")).content == b"redis_up 1\n"
        assert (await http.get("/metrics")).status_code == 404
        assert 'href="cache/metrics"' in (await http.get("/")).text


@pytest.mark.parametrize(
    "path",
    ["", "metrics", "/m{x}", "/m?x", "/redis/x", *(path.partition("?")[0] for path in PATHS if path != "/metrics")],
)
def test_unusable_telemetry_path_is_refused_at_start(path: str) -> None:
    with pytest.raises(ValueError, match=r"must be a path such as|belongs to another page"):
        build(FakeDaemon(), telemetry_path=path)


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_the_headers_of_get_and_no_body(path: str) -> None:
    full, head = await get(FakeDaemon(), path), await get(FakeDaemon(), path, "HEAD")
    assert head.status_code == full.status_code
    if path != "/health":
        ours, theirs = (httpx.Headers(response.headers) for response in (head, full))
        for headers in (ours, theirs):
            del headers["date"]  # the next second may have begun
        assert ours == theirs
    assert head.content == b""


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/-/reload"])
async def test_every_response_has_security_headers(path: str) -> None:
    headers = (await get(FakeDaemon(), path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert len(headers.get_list("content-security-policy")) == 1


async def test_health_of_one_target() -> None:
    def now() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)

    async with client(FakeDaemon(), now=now) as http:
        response = await http.get("/health")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    redis = {"status": "connected", "latency_ms": 0.123}
    assert response.json() == {
        "status": "healthy",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "version": "0.1.0",
        "uptime_seconds": 12.346,
        "redis": redis,
        "targets": {
            "cache": {
                "redis": redis,
                "breaker": "closed",
                "address": "127.0.0.1:6379",
                "role": "master",
                "software": "valkey",
                "version": "9.1.2",
                "mode": "standalone",
                "service": "",
                "sample_age_seconds": 4.0,
                "failing": {},
                "last_stall": None,
            }
        },
    }


@pytest.mark.parametrize(
    ("views", "code", "status"), [([UP, DOWN], 200, "degraded"), ([DOWN], 503, "unhealthy"), ([], 503, "unhealthy")]
)
async def test_health_follows_the_targets(views: list[Any], code: int, status: str) -> None:
    response = await get(FakeDaemon(views=views), "/health")
    assert (response.status_code, response.json()["status"]) == (code, status)
    assert ("redis" in response.json()) == (len(views) == 1)
    assert response.json()["targets"].keys() == {view.name for view in views}


@pytest.mark.parametrize("views", [[UP, DOWN], [DOWN], []])
async def test_health_with_always_200_has_the_same_body(views: list[Any]) -> None:
    """Supervisors set up for the /health of redis_exporter would restart the daemon in an outage of Redis."""
    by_target = (await get(FakeDaemon(views=views), "/health")).json()
    async with client(FakeDaemon(views=views), health_always_200=True) as http:
        response = await http.get("/health")
    assert response.status_code == 200
    assert response.json() | {"timestamp": ""} == by_target | {"timestamp": ""}


async def test_health_with_always_200_is_503_while_the_loop_is_stuck() -> None:
    async with client(FakeDaemon(is_healthy=False), health_always_200=True) as http:
        assert (await http.get("/health")).status_code == 503


async def test_health_of_many_targets_is_complete() -> None:
    views = [replace(UP, name=f"n{number}") for number in range(333)]
    response = await get(FakeDaemon(views=views), "/health")
    assert list(response.json()["targets"]) == [view.name for view in views]


@pytest.mark.parametrize(
    ("daemon", "path", "code"),
    [
        (FakeDaemon(views=[DOWN]), "/-/healthy", 200),
        (FakeDaemon(is_healthy=False), "/-/healthy", 503),
        (FakeDaemon(), "/-/ready", 200),
        (FakeDaemon(is_ready=False), "/-/ready", 503),
    ],
)
async def test_supervisor_gets_a_status_and_a_text(daemon: FakeDaemon, path: str, code: int) -> None:
    response = await get(daemon, path)
    assert response.status_code == code
    assert response.text.strip()


async def test_successful_reload_returns_200() -> None:
    daemon = FakeDaemon()
    assert (await get(daemon, "/-/reload", "POST")).status_code == 200
    assert daemon.reloads == 1


async def test_reload_of_a_bad_configuration_returns_the_reason() -> None:
    response = await get(FakeDaemon(reload_error="pulse.yaml:3: unknown key 'lisen'"), "/-/reload", "POST")
    assert response.status_code == 400
    assert "the configuration is unchanged: pulse.yaml:3: unknown key 'lisen'" in response.text


async def test_reload_by_get_is_refused() -> None:
    daemon = FakeDaemon()
    response = await get(daemon, "/-/reload")
    assert (response.status_code, response.headers["allow"], daemon.reloads) == (405, "POST", 0)


async def test_reload_from_the_page_of_another_site_is_refused() -> None:
    daemon = FakeDaemon()
    response = await get(daemon, "/-/reload", "POST", headers={"sec-fetch-site": "cross-site"})
    assert (response.status_code, daemon.reloads) == (403, 0)


async def test_wrong_method_returns_the_right_methods() -> None:
    response = await get(FakeDaemon(), "/metrics", "POST")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert response.text == "/metrics does not accept POST: use GET or HEAD\n"


@pytest.mark.parametrize(
    ("path", "hint"),
    [("/metric", "did you mean /metrics?"), ("/health/", "did you mean /health?"), ("/x", "the pages are")],
)
async def test_unknown_path_returns_a_similar_path(path: str, hint: str) -> None:
    response = await get(FakeDaemon(), path)
    assert response.status_code == 404
    assert hint in response.text


async def test_ping_returns_the_newest_probe() -> None:
    response = await get(FakeDaemon(), "/redis/ping")
    assert response.status_code == 200
    assert response.json() == {
        "status": "connected",
        "message": "pong",
        "latency_ms": 0.123,
        "age_seconds": 0.25,
        "target": "cache",
    }


async def test_failed_ping_returns_the_reason() -> None:
    response = await get(FakeDaemon(views=[UP, DOWN]), "/redis/ping?target=queue")
    assert response.status_code == 503
    assert response.json()["status"] == "error"
    assert response.json()["message"] == "refused: nothing listens at 10.0.0.7:6379"


async def test_stats_return_values_of_info() -> None:
    response = await get(FakeDaemon(), "/redis/stats?target=127.0.0.1:6379")
    assert response.status_code == 200
    assert response.json() == {
        "connected_clients": 3,
        "used_memory_human": "1.05M",
        "total_commands_processed": 1234,
        "keyspace_hits": 2,
        "keyspace_misses": 1,
        "hit_rate": 66.67,
        "target": "cache",
    }


async def test_stats_without_a_fresh_sample_are_an_error() -> None:
    response = await get(FakeDaemon(views=[DOWN]), "/redis/stats")
    assert response.status_code == 503
    assert "no fresh sample of this server: refused" in response.json()["message"]


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", 400, "there are 2 targets"),
        ("?target=queu", 404, "did you mean queue?"),
        ("?target=%3Cscript%3E", 404, "no target has the name or address '<script>'"),
        ("?target=%ff%00", 404, "no target has the name or address"),
    ],
)
@pytest.mark.parametrize("path", ["/redis/ping", "/redis/stats"])
async def test_unknown_target_returns_names(path: str, query: str, code: int, message: str) -> None:
    response = await get(FakeDaemon(views=[UP, DOWN]), path + query)
    assert response.status_code == code
    assert message in response.json()["message"]
    assert response.json()["targets"]


async def test_failing_page_logs_once_and_hides_the_error_from_the_client(caplog: pytest.LogCaptureFixture) -> None:
    daemon = FakeDaemon(failure=RuntimeError("hunter2"))
    async with client(daemon) as http:
        responses = [await http.get("/metrics") for _ in range(2)]
    for response in responses:
        assert response.status_code == 500
        assert "hunter2" not in response.text
        assert "Traceback" not in response.text
    assert caplog.text.count("a page failed") == 1
    assert "/metrics" in caplog.text
    assert [status for _, status, _ in daemon.requests] == [500, 500]


async def test_scope_other_than_http_is_ignored() -> None:
    async def never(*_: object) -> Any:  # pragma: no cover
        raise AssertionError

    await build(FakeDaemon())({"type": "lifespan"}, never, never)


async def test_requests_are_counted_under_known_paths_only() -> None:
    """The path becomes a label. A client must not be able to create any number of series."""
    daemon = FakeDaemon()
    async with client(daemon, clock=ManualClock()) as http:
        for path in ("/metrics", "/redis/ping?target=x", "/nowhere/1", "/nowhere/2", "/metrics/"):
            await http.get(path)
        await http.post("/metrics")
    assert daemon.requests == [
        ("/metrics", 200, 0.0),
        ("/redis/ping", 404, 0.0),
        ("other", 404, 0.0),
        ("other", 404, 0.0),
        ("other", 404, 0.0),
        ("/metrics", 405, 0.0),
    ]


async def test_counted_time_is_the_time_to_make_the_response() -> None:
    clock = ManualClock()

    class Slow(FakeDaemon):
        async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes:
            clock.advance(0.25)
            return b""

    daemon = Slow()
    async with client(daemon, clock=clock) as http:
        await http.get("/metrics")
    assert daemon.requests == [("/metrics", 200, 0.25)]


async def test_json_does_not_escape_names() -> None:
    body = (await get(FakeDaemon(views=[replace(UP, name='kühl "x"')]), "/health")).text
    assert list(json.loads(body)["targets"]) == ['kühl "x"']
    assert "kühl" in body


@pytest.mark.parametrize(("views", "status"), [([UP], "degraded"), ([DOWN], "unhealthy")])
async def test_health_shows_failed_changes_of_targets(views: list[Any], status: str) -> None:
    """The daemon retries them. Until then it does not monitor what the configuration wants."""
    changes = [PendingChange("a", "open", "RuntimeError"), PendingChange("a", "close", "not done in time")]
    response = await get(FakeDaemon(views=views, changes=changes), "/health")
    body = response.json()
    assert body["status"] == status
    assert body["pending"] == {"a": {"open": "RuntimeError", "close": "not done in time"}}
    assert "pending" not in (await get(FakeDaemon(views=views), "/health")).json()


@pytest.mark.parametrize("path", ["/", "/health", "/sd", "/stalls"])
async def test_lists_of_all_targets_are_made_one_at_a_time(path: str) -> None:
    """Each takes megabytes with thousands of targets. Hundreds of clients may ask at the same time."""
    running = most = 0

    async def slow(_handlers: Handlers | LatePages, _request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return PlainTextResponse("x")

    name = {"/": "index", "/sd": "discover"}.get(path, path[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LatePages if path == "/" else Handlers, name, slow)
        app = client(FakeDaemon())
    async with app:
        responses = await asyncio.gather(*(app.get(path, headers={"host": "localhost"}) for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert most == 1


async def test_long_page_is_sent_piece_by_piece() -> None:
    """The server would copy the whole page for each client that does not read."""
    page = b"x 1\n" * 100_000
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("the response must not receive anything")

    scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": [(b"host", b"pulse")]}
    await build(FakeDaemon(page=page))(scope, receive, send)
    bodies = sent[1:]
    assert b"".join(piece["body"] for piece in bodies) == page
    assert max(len(piece["body"]) for piece in bodies) == 16384
    assert [piece.get("more_body", False) for piece in bodies] == [*[True] * (len(bodies) - 1), False]
    sent.clear()
    await build(FakeDaemon(page=b""))(scope, receive, send)
    assert [piece.get("body") for piece in sent] == [None, b""]


STALL = StallRecord(
    7, "cache", 1000.0, 1001.5, 1.25, slow=1, timeouts=1, verdict=Verdict("command", "sure", "KEYS took 1.2 s", "Scan.")
)
RUNNING = StallRecord(8, "cache", 2000.0, None, 0.5)


async def test_stalls_are_listed_with_cause_and_evidence() -> None:
    response = await get(FakeDaemon(records=[RUNNING, STALL]), "/stalls")
    assert response.headers["content-type"] == "application/json"
    running, ended = response.json()
    assert (running["ended"], running["cause"]) == (None, None)
    assert ended == {
        "id": 7,
        "target": "cache",
        "seen": "ping",
        "started": "1970-01-01T00:16:40.000Z",
        "ended": "1970-01-01T00:16:41.500Z",
        "seconds": 1.25,
        "slots": {"slow": 1, "timeout": 1},
        "cause": "command",
        "certainty": "sure",
        "why": "KEYS took 1.2 s",
        "do": "Scan.",
        "evidence": {},
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [("", [8, 7]), ("?cause=command", [7]), ("?limit=1", [8]), ("?target=cache", [8, 7]), ("?cause=fork", [])],
)
async def test_stalls_are_selected(query: str, ids: list[int]) -> None:
    response = await get(FakeDaemon(records=[RUNNING, STALL]), f"/stalls{query}")
    assert [record["id"] for record in response.json()] == ids


@pytest.mark.parametrize(
    ("query", "status"), [("?cause=x", 400), ("?limit=-1", 400), ("?limit=9999999", 400), ("?target=x", 404)]
)
async def test_unknown_stall_query_is_rejected(query: str, status: int) -> None:
    assert (await get(FakeDaemon(records=[STALL]), f"/stalls{query}")).status_code == status


async def test_health_has_the_last_stall_without_its_evidence() -> None:
    response = await get(FakeDaemon(views=[replace(UP, last_stall=STALL)]), "/health")
    last = response.json()["targets"]["cache"]["last_stall"]
    assert (last["id"], last["cause"]) == (7, "command")
    assert "evidence" not in last


SCRAPE = {"accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1", "user-agent": "Prometheus/3.5.0"}


async def test_scrapes_are_reported_with_their_target() -> None:
    daemon = FakeDaemon()
    for path in ("/metrics", "/metrics?only=targets", "/scrape?target=cache"):
        await get(daemon, path, headers=SCRAPE)
    assert daemon.scrapes == [(target, "127.0.0.1 Prometheus/3.5.0") for target in (None, None, "cache")]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/metrics?name[]=redis_up", SCRAPE),
        ("GET", "/metrics?collectors[]=info", SCRAPE),
        ("GET", "/metrics?only=exporter", SCRAPE),
        ("GET", "/scrape?target=unknown", SCRAPE),
        ("GET", "/scrape?target=cache&name[]=redis_up", SCRAPE),
        ("HEAD", "/metrics", SCRAPE),
        ("GET", "/metrics", {"accept": "*/*", "user-agent": "kube-probe/1.33"}),
        ("GET", "/-/healthy", SCRAPE),
    ],
)
async def test_request_of_a_part_or_by_others_is_no_scrape(method: str, path: str, headers: dict[str, str]) -> None:
    """Polls must not follow who reads a part of the page, or watches the daemon."""
    daemon = FakeDaemon()
    await get(daemon, path, method, headers=headers)
    assert not daemon.scrapes
