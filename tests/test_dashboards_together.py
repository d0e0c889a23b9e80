"""The dashboards together: their titles, the links between them, their defaults, and the page about them."""

import json
import re

from grafana import build
from grafana.variables import EDGE, OBJECTIVE, OBJECTIVES
from redis_pulse.config import SloSettings
from tests.test_dashboards import FILES, data_panels


def test_all_dashboards_exist() -> None:
    titles = [json.loads(path.read_text(encoding="utf-8"))["title"].removeprefix("redis-pulse / ") for path in FILES]
    expected = ["Fleet overview", "Instance", "Probe latency", "Resilience and exporter", "SLO"]
    assert sorted(titles) == [*expected, "What fills it, what heats it"]


def test_tables_of_servers_link_to_the_server() -> None:
    """The link keeps the time range and the data source, and selects the server of the row."""
    links = 0
    for path in FILES:
        for panel in data_panels(json.loads(path.read_text(encoding="utf-8"))):
            for one in panel["fieldConfig"]["overrides"] if panel["type"] == "table" else ():
                if one["matcher"]["options"] == "Target":
                    [url] = [each["value"][0]["url"] for each in one["properties"] if each["id"] == "links"]
                    assert url.startswith("/d/redis-pulse-instance?${__url_time_range}&")
                    assert "var-target=${__data.fields.Target:percentencode}" in url
                    links += 1
    assert links >= 4


def test_objective_and_edge_have_the_defaults_of_the_settings() -> None:
    defaults = SloSettings()
    assert float(OBJECTIVE) == defaults.objective
    assert float(EDGE) == defaults.latency
    assert OBJECTIVE in OBJECTIVES


def test_page_shows_every_dashboard_with_a_small_picture() -> None:
    """docs/dashboards.md has a section for each dashboard, with its address and a picture that loads fast."""
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


def test_overview_has_its_fixed_address() -> None:
    [overview] = [path for path in FILES if path.stem == "redis-pulse-overview"]
    board = json.loads(overview.read_text(encoding="utf-8"))
    assert (board["uid"], board["title"]) == ("redis-pulse-overview", "redis-pulse / Fleet overview")
