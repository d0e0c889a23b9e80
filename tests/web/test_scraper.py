"""Scrapers are distinguished from health checks, browsers and people by what they accept."""

import pytest
from starlette.requests import Request

from redis_pulse.web.scraper import scraper_of

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"


def request(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": raw, "client": ("10.0.0.7", 40001)})


@pytest.mark.parametrize(
    "headers",
    [{"accept": PROMETHEUS}, {"x_prometheus_scrape_timeout_seconds": "10"}, {"accept": "text/plain; version=0.0.4"}],
)
def test_scraper_is_known_by_address_and_user_agent(headers: dict[str, str]) -> None:
    assert scraper_of(request(user_agent="Prometheus/3.5.0", **headers)) == "10.0.0.7 Prometheus/3.5.0"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": "*/*", "user_agent": "curl/8.5.0"},
        {"accept": "*/*", "user_agent": "kube-probe/1.33"},
        {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "user_agent": "Mozilla/5.0"},
    ],
)
def test_others_are_no_scrapers(headers: dict[str, str]) -> None:
    assert scraper_of(request(**headers)) is None


def test_head_is_no_scrape() -> None:
    assert scraper_of(request("HEAD", accept=PROMETHEUS)) is None


def test_long_user_agent_is_cut() -> None:
    client = scraper_of(request(accept=PROMETHEUS, user_agent="x" * 5000))
    assert client is not None
    assert len(client) < 120
