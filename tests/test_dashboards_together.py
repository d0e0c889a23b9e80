"""The dashboards as a set: which there are, how they lead to each other, what they promise, and the page about them."""

import json
import re

from grafana import build
from grafana.variables import EDGE, OBJECTIVE, OBJECTIVES
from redis_pulse.config import SloSettings
from tests.test_dashboards import FILES, drawn


def test_the_dashboards_are_those_of_the_plan() -> None:
    titles = [json.loads(path.read_text(encoding="utf-8"))["title"].removeprefix("redis-pulse / ") for path in FILES]
    assert sorted(titles) == ["Fleet overview", "Instance", "Probe latency", "Resilience and exporter", "SLO"]


def test_a_table_of_servers_leads_to_the_server() -> None:
    """The link keeps the time and the data source, and chooses the one server of its row."""
    found = 0
    for path in FILES:
        for panel in drawn(json.loads(path.read_text(encoding="utf-8"))):
            for one in panel["fieldConfig"]["overrides"] if panel["type"] == "table" else ():
                if one["matcher"]["options"] == "Target":
                    [url] = [each["value"][0]["url"] for each in one["properties"] if each["id"] == "links"]
                    assert url.startswith("/d/redis-pulse-instance?${__url_time_range}&")
                    assert "var-target=${__data.fields.Target:percentencode}" in url
                    found += 1
    assert found >= 4


def test_objective_and_edge_begin_as_the_settings_do() -> None:
    defaults = SloSettings()
    assert float(OBJECTIVE) == defaults.objective
    assert float(EDGE) == defaults.latency
    assert OBJECTIVE in OBJECTIVES


def test_the_page_shows_every_dashboard_and_small_pictures() -> None:
    """docs/dashboards.md names each under its title and address, with a picture that loads at once."""
    docs = build.FOLDER.parents[1] / "docs"
    page = (docs / "dashboards.md").read_text(encoding="utf-8")
    for path in FILES:
        title = json.loads(path.read_text(encoding="utf-8"))["title"].removeprefix("redis-pulse / ")
        assert f"\n## {title}\n\n![{title}](img/" in page
        assert f"/d/{path.stem}`" in page
    pictures = re.findall(r"\]\((img/[\w-]+\.png)\)", page)
    assert len(pictures) == len(FILES)
    for name in pictures:
        assert (docs / name).stat().st_size < 150_000, f"{name}: run `make screenshots`"


def test_there_is_an_overview_under_its_fixed_address() -> None:
    [overview] = [path for path in FILES if path.stem == "redis-pulse-overview"]
    board = json.loads(overview.read_text(encoding="utf-8"))
    assert (board["uid"], board["title"]) == ("redis-pulse-overview", "redis-pulse / Fleet overview")
