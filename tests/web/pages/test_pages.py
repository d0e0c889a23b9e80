"""The two pages as text: what they show, what they never contain, and how large they are."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
import pytest

from redis_pulse.status import STATES, StatusEvent
from redis_pulse.web import StatusView
from redis_pulse.web.pages import POLICY, status_json
from tests.web.fakes import UP, FakeDaemon, client
from tests.web.pages.scenes import HOSTILE, NOW, OWN, STALL, TROUBLED_OWN, FakeStatus, eight, target, thousand


def daemon(views: Sequence[StatusView], **changes: Any) -> FakeDaemon:
    names = [replace(UP, name=view.name, address=view.address) for view in views]
    return FakeDaemon(views=names, status=FakeStatus(views, **changes))


async def get(views: Sequence[StatusView], path: str = "/", **changes: Any) -> httpx.Response:
    async with client(daemon(views, **changes)) as http:
        return await http.get(path)


async def page(views: Sequence[StatusView], path: str = "/", **changes: Any) -> str:
    response = await get(views, path, **changes)
    assert response.status_code == 200, response.text
    assert response.headers["content-security-policy"] == POLICY
    return response.text


def hostile() -> list[StatusView]:
    return [
        target(
            name,
            STATES[n % len(STATES)],
            address=name,
            error=name,
            software=name,
            labels={"team": name},
            stalls=(STALL,),
        )
        for n, name in enumerate(HOSTILE)
    ]


async def test_heading_title_and_problems_say_what_is_wrong() -> None:
    shown = await page(eight(), own_status=TROUBLED_OWN)
    assert "2 of 8 targets are down, 1 is stalled, 1 is slow, 1 is at risk" in shown
    assert "<title>2 down, 1 stalled, 1 slow · redis-pulse</title>" in shown
    for text in ("queue", "the connection is refused", "systemctl status &#39;redis*&#39;", "02:58:03", "14 min"):
        assert text in shown
    rows = [shown.index(f"?target={name}") for name in ("queue", "search-cache", "feeds", "ledger")]
    assert rows == sorted(rows)
    assert "targets[6].probe.intervall is not a setting" in shown


async def test_calm_page_shows_the_hour_of_its_only_target() -> None:
    shown = await page([target("localhost:6379")])
    assert "All is well" in shown
    assert 'role="img" aria-label="Latency of the last hour, logarithmic.' in shown


async def test_page_without_targets_explains_the_next_step() -> None:
    shown = await page([])
    assert "No target is configured yet" in shown
    assert "redis-pulse --redis-url redis://HOST:6379" in shown


@pytest.mark.parametrize(
    ("states", "heading"),
    [
        (["down", "ok"], "a0 is down, 1 of 2 targets"),
        (["recovered", "ok"], "1 is well again, of 2 targets"),
        (["limited", "limited", "ok"], "2 are seen in part, of 3 targets"),
        (["starting"], "1 starts, of 1 target"),
        (["ok", "ok"], "All is well"),
    ],
)
async def test_heading_names_the_worst(states: list[Any], heading: str) -> None:
    assert heading in await page([target(f"a{n}", state) for n, state in enumerate(states)])


async def test_page_of_a_target_has_its_hour_stalls_collectors_and_facts() -> None:
    events = [StatusEvent(NOW - 60, "cart", "state", "it was stalled", "recovered")]
    shown = await page(eight(), "/?target=cart", happened=events)
    for text in (
        *("cart</bdi> is well again", "Failed: timeout", "Failed: rejected", "One KEYS took 1231 ms"),
        *("Use SCAN instead of KEYS.", "not supported", "+client|list", "allkeys-lru", "214 of", "it was stalled"),
        *("72 % of", "0.11 ms", "All 8 targets", "network, 26 s"),
    ):
        assert text in shown, text


async def test_lesser_problems_that_the_state_hides_are_on_the_page_of_the_target() -> None:
    risk, limited = target("x", "risk"), target("x", "limited")
    shown = await page([replace(target("x", "slow"), risks=risk.risks, failing=limited.failing)], "/?target=x")
    assert [word for word in ("at risk", "limited") if f"{word}</span>\n<b><bdi>x" in shown] == ["at risk", "limited"]


async def test_thousand_targets_are_grouped_and_small_enough() -> None:
    shown = await page(thousand())
    assert len(shown.encode()) < 300_000
    assert "50 targets in zone=eu-1b" in shown
    assert shown.count("<details") == 9
    assert "ads-cache-003" in shown


async def test_long_names_are_cut_by_bytes_into_pages() -> None:
    views = [replace(view, name=view.name.ljust(200, "x")) for view in thousand()]
    first, second = await page(views), await page(views, "/?page=2")
    assert len(first.encode()) < 300_000
    assert 'href="?page=2"' in first
    names = [set(re.findall(r'href="\?target=([^"]+)"', text)) for text in (first, second)]
    assert len(names[0] - names[1]) > 200
    assert len(names[1] - names[0]) > 200


@pytest.mark.parametrize("path", ["/", *(f"/?target={quote(name, safe='')}" for name in HOSTILE)])
async def test_hostile_names_are_inert(path: str) -> None:
    shown = await page(hostile(), path)
    assert "<script" not in shown
    assert not re.search(r"\s(style|on\w+)=", re.sub(r"<style>.*?</style>", "", shown, flags=re.DOTALL))
    assert not {character for character in shown if character in "\u202e\u200b\u202c\u0007"}
    assert "{{" not in shown.replace("{{7*7}}", "")


async def test_nothing_is_loaded_and_all_links_are_relative() -> None:
    for path in ("/", "/?target=cart"):
        shown = await page(eight(), path)
        links = re.findall(r'(?:href|src|action)="([^"]*)"', shown)
        assert not [link for link in links if re.match(r"/|[a-z]+:", link) and not link.startswith("data:image/svg")]


async def test_policy_has_the_hash_of_the_style() -> None:
    style = re.search("<style>(.*?)</style>", await page(eight()), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY


@pytest.mark.parametrize("path", ["/", "/?target=cart", "/?q=nothing-matches", "/?state=down&state=slow"])
async def test_page_is_well_formed(path: str) -> None:
    void = {"meta", "link", "input", "col", "rect", "line", "path"}

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in void:
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            if tag not in void:
                assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    tags = Tags()
    tags.feed(await page(eight(), path))
    assert [tag for tag in tags.open if tag != "option"] == []


async def test_filters_select_and_are_kept_in_links() -> None:
    shown = await page(eight(), "/?state=down&q=team%3Dcheckout&refresh=30")
    table = shown.partition('id="targets"')[2]
    assert '<a href="?target=queue">' in table
    assert '<a href="?target=sessions">' not in table.partition('id="events"')[0]
    assert '<meta http-equiv="refresh" content="30">' in shown
    assert 'href="?q=team%3Dcheckout&amp;state=slow&amp;refresh=30"' in shown
    assert "No target matches" in await page(eight(), "/?q=nothing-matches")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("state=dwon", "'dwon' is no state"),
        ("refresh=1", "5 to 300 seconds"),
        ("refresh=x", "must be a whole number"),
        ("events=some", "events: must be all"),
        ("page=-1", "must be a whole number"),
        ("stat=down", "did you mean state?"),
    ],
)
async def test_unknown_values_are_refused_with_a_sentence(query: str, message: str) -> None:
    response = await get(eight(), f"/?{query}")
    assert (response.status_code, message in response.text) == (400, True), response.text


async def test_unknown_target_has_the_nearest_name() -> None:
    response = await get(eight(), "/?target=crat")
    assert (response.status_code, "did you mean cart?" in response.text) == (404, True)


async def test_events_of_all_targets_are_cut_and_can_be_shown() -> None:
    events = [StatusEvent(NOW - n, "cart", "breaker", f"event {n}.") for n in range(60)]
    some, everything = await page(eight(), happened=events), await page(eight(), "/?events=all", happened=events)
    assert ("event 19." in some, "event 59." in some, "show all" in some) == (True, False, True)
    assert ("event 59." in everything, "show all" in everything) == (True, False)


def conforms(body: Any, name: str) -> None:
    document = json.loads(status_json.openapi())
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


async def test_json_conforms_to_its_description_and_names_the_same_problems() -> None:
    events = [StatusEvent(NOW - 60, "cart", "state", "it was stalled", "recovered")]
    response = await get(eight(), "/api/v1/status", own_status=TROUBLED_OWN, happened=events)
    body = response.json()
    conforms(body, "Overview")
    assert body["states"]["down"] == 2
    assert [problem["title"] for problem in body["problems"]][:3] == ["queue", "sessions", "search-cache"]
    assert {one["name"] for one in body["targets"]} == {view.name for view in eight()}


@pytest.mark.parametrize("state", STATES)
async def test_json_of_one_target_conforms_to_its_description(state: Any) -> None:
    views = [target("a/b", state, stalls=(STALL,))]
    body = (await get(views, "/api/v1/status?target=a%2Fb")).json()
    conforms(body, "OneTarget")
    assert len(body["target"]["minutes"]) == 60


async def test_every_property_of_the_description_is_served() -> None:
    """A field that the description has and the page lacks would fail clients."""
    document = json.loads(status_json.openapi())
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/api/v1/status", "/api/v1/openapi.json"}
    served = (await get([target("a")], "/api/v1/status")).json()
    assert set(served) == set(document["components"]["schemas"]["Overview"]["properties"])
    assert set(served["targets"][0]) == set(document["components"]["schemas"]["Target"]["properties"])
    assert set(served["exporter"]) == set(document["components"]["schemas"]["Exporter"]["properties"])


@pytest.mark.parametrize(("query", "status"), [("target=nobody", 404), ("targt=a", 400)])
async def test_json_of_a_bad_query_is_an_error(query: str, status: int) -> None:
    response = await get(eight(), f"/api/v1/status?{query}")
    assert response.status_code == status
    conforms(response.json(), "Error")


async def test_notice_of_the_exporter_is_on_the_page_of_a_target() -> None:
    assert "the exporter has a problem" in await page(eight(), "/?target=cart", own_status=TROUBLED_OWN)
    assert "the exporter has a problem" not in await page(eight(), "/?target=cart", own_status=OWN)
