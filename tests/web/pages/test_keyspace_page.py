"""What fills a server, as a page and as JSON: every estimate has its error, and names are hidden."""

import json
from dataclasses import replace
from typing import Any

import httpx

from redis_pulse.keyspace import KeyspaceReport, PatternNode
from redis_pulse.web.pages import POLICY
from tests.web.fakes import UP, FakeDaemon, client
from tests.web.pages.scenes import HOSTILE, FakeStatus, keyspace, target

HTML = {"accept": "text/html,application/xhtml+xml"}


async def get(report: KeyspaceReport | None, path: str = "/keyspace?target=cache", **options: Any) -> httpx.Response:
    keys = {} if report is None else {"cache": report}
    status = FakeStatus([target("cache")], keys=keys)
    async with client(FakeDaemon(views=[UP], status=status)) as http:
        return await http.get(path, **options)


async def test_page_shows_each_pattern_with_its_interval() -> None:
    response = await get(keyspace(), headers=HTML)
    assert response.status_code == 200
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["vary"] == "Accept"
    shown = response.text
    for text in (
        *("What fills <bdi>cache</bdi>", "800.0 MiB \u00b1 14.0 MiB", "cart:*:items", "db3"),
        *("known to 2 % or better", "RANDOMKEY of this version", "42 % of all keys visited, 2 passes before"),
        *("\u221240.0 MiB \u00b1 5.0 MiB", "within its error", "frequency 17", "12 min", "never", "in 1 h 0 min"),
        "show_keys: true",
    ):
        assert text in shown, text


async def test_bar_and_error_bar_have_the_share_of_the_largest() -> None:
    shown = (await get(keyspace(), headers=HTML)).text
    assert '<rect width="24.57%" height="100%"/><rect class="e" x="23.59%" width="1.97%"' in shown  # of 814 MiB
    assert '<rect width="11.06%" height="100%"/></svg>' in shown  # counted, so it has no error bar
    assert "1\u202f500\u202f000 \u00b1 9\u202f500" in shown


async def test_names_of_keys_are_shown_only_if_the_report_has_them() -> None:
    with_names = (await get(keyspace(name=b"log:\xff7"), headers=HTML)).text
    assert "log:\\xff7" in with_names
    assert "show_keys" not in with_names
    data = (await get(keyspace(name=b"log:\xff7"))).json()
    assert data["largest"][0]["name"] == "log:\\xff7"
    assert (await get(keyspace())).json()["largest"][0]["name"] is None


async def test_programs_get_json_with_every_estimate() -> None:
    response = await get(keyspace())
    assert response.headers["content-type"] == "application/json"
    data = response.json()
    assert data["target"] == "cache"
    assert data["memory_bytes"] == {"value": 890 * 1024.0**2, "error": 15 * 1024.0**2}
    assert [one["pattern"] for one in data["patterns"]] == ["cart:*", "cart:*:items", "log:*"]
    assert data["tree"][0]["children"][0]["children"][0]["types"] == ["list"]
    assert data["growth"][1]["certain"] is False
    assert json.loads(json.dumps(data, allow_nan=False)) == data


async def test_server_that_tells_no_memory_is_shown_by_keys() -> None:
    tree = tuple(_without_memory(node) for node in keyspace().tree)
    shown = (await get(keyspace(memory=None, unexplained_bytes=None, tree=tree), headers=HTML)).text
    assert "the server does not tell their memory" in shown
    assert "Keys, to scale" in shown
    assert '<rect width="19.87%" height="100%"/>' in shown  # 300 000 of 1 509 500 keys


def _without_memory(node: PatternNode) -> PatternNode:
    children = tuple(_without_memory(child) for child in node.children)
    return replace(node, memory=None, children=children)


async def test_empty_server_has_a_page_too() -> None:
    empty = keyspace(keys=0, draws=0, patterns=(), tree=(), largest=(), growth=())
    shown = (await get(empty, headers=HTML)).text
    assert "No key yet." in shown
    assert "None yet." in shown
    assert "Known after two windows." in shown


async def test_target_without_samples_says_how_to_get_some() -> None:
    response = await get(None)
    assert response.status_code == 404
    assert "add keyspace_sample to its collectors" in response.text


async def test_without_target_the_page_lists_the_targets() -> None:
    assert (await get(keyspace(), "/keyspace")).json() == {"targets": ["cache"]}
    assert 'href="keyspace?target=cache"' in (await get(keyspace(), "/keyspace", headers=HTML)).text
    assert "off by default" in (await get(None, "/keyspace", headers=HTML)).text


async def test_unknown_parameters_and_targets_are_refused() -> None:
    assert (await get(keyspace(), "/keyspace?targets=cache")).status_code == 400
    assert (await get(keyspace(), "/keyspace?target=nowhere")).status_code == 404
    assert (await get(keyspace(), "/keyspace?target=u:secret@cache")).status_code == 400


async def test_hostile_patterns_cannot_change_the_page() -> None:
    for name in HOSTILE:
        shown = (await get(keyspace(name, name.encode(errors="replace")), headers=HTML)).text
        assert "<script" not in shown
        assert "\u202e" not in shown
        assert "\x07" not in shown
