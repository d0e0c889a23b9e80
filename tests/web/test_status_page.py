"""Tests of the status page: what it shows, and that it trusts none of the values."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from redis_pulse.stalls import StallRecord, Verdict
from redis_pulse.web import TargetView, status_page
from tests.web.fakes import DEGRADED, DOWN, UP


def page(*views: TargetView, uptime: float = 1.0) -> str:
    return status_page.status(views, version="0.1.0", uptime_seconds=uptime)


def test_every_target_is_shown_and_down_targets_come_first() -> None:
    shown = page(UP, DOWN)
    assert "1 of 2 targets up" in shown
    assert shown.index("queue") < shown.index("cache")
    for text in ("0.123 ms", "valkey 9.1.2", "master", "4.0 s", "team=web", "10.0.0.7:6379", "error: refused"):
        assert text in shown


def test_failing_collectors_are_shown_if_the_target_is_up() -> None:
    assert "failing: slowlog (timeout), clients (permission)" in status_page.status(
        (DEGRADED,), version="1", uptime_seconds=1
    )
    down = replace(DOWN, failing=DEGRADED.failing)
    assert "failing: " not in status_page.status((down,), version="1", uptime_seconds=1)


def test_links_are_relative_for_proxies_with_a_prefix() -> None:
    links = re.findall(r'<a href="([^"]*)"', page(UP))
    assert links == ["metrics", "sd", "stalls", "health", "redis/ping", "redis/stats", "-/ready", "-/healthy"]


def test_all_values_are_escaped() -> None:
    evil = '<script>alert("1")</script>'
    odd = replace(
        UP, name=evil, address=evil, status=evil, breaker=evil, software=evil, version=evil, role=evil,
        labels={evil: evil},
    )  # fmt: skip
    shown = page(odd)
    assert "<script" not in shown
    assert 'alert("' not in shown
    assert shown.count("&lt;script&gt;") == 9


def test_nothing_is_loaded_from_other_sites() -> None:
    shown = page(UP, DOWN)
    assert "http://" not in shown
    assert "https://" not in shown
    assert "src=" not in shown


def test_policy_allows_the_style_of_the_page_only() -> None:
    style = re.search("<style>(.*)</style>", page(UP), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in status_page.POLICY
    assert " style=" not in page(UP)


@pytest.mark.parametrize("views", [(), (UP,), (DOWN, UP)])
def test_page_is_well_formed(views: tuple[TargetView, ...]) -> None:
    void = {"meta", "link"}

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in void:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    tags = Tags()
    tags.feed(page(*views))
    assert tags.open == []


def test_page_without_targets_has_a_message() -> None:
    assert "No target is configured yet." in page()


def test_unknown_values_are_dashes() -> None:
    unknown = replace(DOWN, software="", version="", role="", sample_age_seconds=None, labels={}, breaker="half_open")
    assert page(unknown).count("—") == 4
    assert 'class="warn">half open' in page(unknown)


def test_long_list_is_cut_but_shows_down_targets() -> None:
    """Rendering must not delay the measurements, and targets that are down must stay visible."""
    many = [replace(UP, name=f"n{number}") for number in range(1000)]
    shown = page(*many, DOWN)
    assert shown.count("<tr>") == 201
    assert "queue" in shown
    assert "801 more targets are not shown" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59, "59.0 s"), (61, "1 min"), (3 * 3600 + 300, "3 h 5 min"), (100 * 3600, "4 d 4 h")],
)
def test_uptime_has_readable_units(seconds: float, text: str) -> None:
    assert f"running for {text}<" in page(uptime=seconds)


def test_latency_of_seconds_is_shown_in_seconds() -> None:
    assert "1.50 s" in page(replace(UP, latency_seconds=1.5))


def test_last_stall_is_shown_with_its_cause() -> None:
    record = StallRecord(1, "cache", 1.0, 2.0, 0.25, verdict=Verdict("not_running", "likely", "why", "do"))
    running = replace(record, ended=None, verdict=None)
    assert "last stall: 0.25 s, not running" in page(replace(UP, last_stall=record))
    assert "stall now: 0.25 s, cause not known yet" in page(replace(UP, last_stall=running))
