"""Every dashboard can be provisioned, explains every panel, and uses only metrics of the exporter."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from grafana import build
from grafana.common import Board
from grafana.latency_clients import FOREIGN
from grafana.panels import Query, graph_panel
from grafana.promql import HISTOGRAMS
from grafana.slo_math import WINDOWS
from tests.metric_names import expressions_name_known_metrics, metrics_in_expression

FILES = sorted(build.FOLDER.glob("*.json"))
Json = dict[str, Any]


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def path(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def board(path: Path) -> Json:
    board: Json = json.loads(path.read_text(encoding="utf-8"))
    return board


def panels(board: Json) -> Iterator[Json]:
    """Yield every panel, including those in collapsed rows."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def data_panels(board: Json) -> Iterator[Json]:
    """Return every panel except the rows."""
    return (panel for panel in panels(board) if panel["type"] != "row")


def expressions(board: Json) -> Iterator[str]:
    for panel in data_panels(board):
        yield from (target["expr"].replace(HISTOGRAMS, "seconds_bucket") for target in panel["targets"])
    yield from (annotation["expr"] for annotation in board["annotations"]["list"])


def test_committed_files_equal_the_built_ones() -> None:
    built = build.build_all()
    committed = {*FILES, *build.PORTABLE.glob("*.json")}
    assert committed == set(built), "a dashboard is missing or superfluous: run `make docs` and commit the changes"
    for path, text in built.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is outdated: run `make docs` and commit it"


def test_dashboard_can_be_provisioned(path: Path, board: Json) -> None:
    """An export for sharing cannot: its inputs cause the error «${DS_PROMETHEUS} was not found»."""
    text = path.read_text(encoding="utf-8")
    assert "__inputs" not in text
    assert "__requires" not in text
    assert "${DS_" not in text
    assert board.get("id") is None, "an id belongs to one database; the uid names the dashboard"
    assert board["uid"] == path.stem
    assert 36 <= board["schemaVersion"] <= 42


def test_dashboard_has_tag_links_and_cannot_be_edited(board: Json) -> None:
    assert board["editable"] is False
    assert "redis-pulse" in board["tags"]
    assert board["description"]
    [link] = board["links"]
    assert link["keepTime"]
    assert link["includeVars"]
    assert link["tags"] == ["redis-pulse"]


def test_variables_are_the_common_ones_and_all_matches_any_value(board: Json) -> None:
    variables = board["templating"]["list"]
    assert [one["name"] for one in variables][:4] == ["datasource", "job", "instance", "target"]
    assert (variables[0]["type"], variables[0]["query"]) == ("datasource", "prometheus")
    for one in variables[1:4]:
        assert one["multi"]
        assert one["includeAll"]
        assert one["allValue"] == ".+"
        assert one["current"]["value"] == ["$__all"]
        assert one["refresh"] == 2, "the variable must be refreshed when the time range changes"
        assert one["datasource"]["uid"] == "${datasource}"
        query = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"])
        assert query
        assert query[2] == one["name"]
        expressions_name_known_metrics([query[1]])


def test_every_panel_has_a_title_a_unit_and_an_explanation(board: Json) -> None:
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles), "two panels have the same title"
    for panel in data_panels(board):
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"].get("unit"), f"{panel['title']} has no unit"
        assert len(panel.get("description", "")) > 60, f"{panel['title']} needs a longer description"
        assert panel["description"].endswith("."), panel["title"]


def test_every_panel_and_annotation_queries_the_chosen_data_source(board: Json) -> None:
    for one in [*data_panels(board), *board["annotations"]["list"]]:
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for panel in data_panels(board):
        assert panel["targets"], f"{panel['title']} has no query"
        for target in panel["targets"]:
            assert target.get("datasource", panel["datasource"]) == panel["datasource"]


def test_quantiles_are_of_the_histograms_that_the_variable_chooses(board: Json) -> None:
    """Classic is the default: most servers of Prometheus have no native histograms."""
    found = [one for one in board["templating"]["list"] if one["name"] == "histograms"]
    queries = [target["expr"] for panel in data_panels(board) for target in panel["targets"]]
    assert bool(found) is any(HISTOGRAMS in query for query in queries)
    assert not any("quantile" in query and "redis_operation_duration_seconds" in query for query in queries)
    for one in found:
        assert {option["text"]: option["value"] for option in one["options"]} == {
            "classic": "seconds_bucket",
            "native": "seconds",
        }
        assert one["current"]["value"] == "seconds_bucket"


def test_no_window_is_shorter_than_the_resolution_of_a_graph(board: Json) -> None:
    """With a scrape interval of a minute, a fixed [1m] is empty. So only burn rates and annotations have one."""
    has_burn_rates = board["uid"] in ("redis-pulse-slo", "redis-pulse-overview")
    known = {"$__rate_interval", "$__range", *(WINDOWS if has_burn_rates else ())}
    for panel in data_panels(board):
        for target in panel["targets"]:
            assert set(re.findall(r"\[([^\]]*)\]", target["expr"])) <= known, panel["title"]


def test_no_condition_makes_gaps_in_a_graph(board: Json) -> None:
    """Grafana draws a line across points that ``> 0`` or topk removes. ``@ end()`` keeps or removes whole series."""
    for panel in data_panels(board):
        for target in panel["targets"] if panel["type"] == "timeseries" else ():
            expression = target["expr"]
            assert not expression.startswith("topk("), panel["title"]
            has_condition = expression.rstrip(")").endswith("> 0") and re.search(r"\b(?:rate|increase)\(", expression)
            # Where the denominator of a ratio is 0, the graph needs no point.
            if has_condition and " / (" not in expression:
                assert "@ end()" in expression, f"{panel['title']}: {expression}"


def test_rows_about_optional_features_are_collapsed(board: Json) -> None:
    """Users without a cluster, a Sentinel, discovery or metrics of clients need not scroll past empty panels."""
    rows = {one["title"]: one for one in board["panels"] if one["type"] == "row"}
    for title, row in rows.items():
        is_optional = title.startswith(("Cluster", "Sentinel", "Discovery", "Pool", "How sure", "Sizes of all keys"))
        assert row["collapsed"] is is_optional, title
        assert bool(row["panels"]) is is_optional, title
        assert all(panel["gridPos"]["y"] > row["gridPos"].get("y", 0) for panel in row["panels"]), title


def test_annotations_show_restarts_role_changes_open_breakers_and_stalls(board: Json) -> None:
    names = [one["name"] for one in board["annotations"]["list"]]
    assert names == ["Restart", "Role change", "Breaker opened", "Stall"]
    stall = board["annotations"]["list"][-1]
    assert stall["useValueForTime"], "the value is the moment at which the stall began"
    assert stall["textFormat"] == "{{cause}}"
    assert stall["expr"].startswith("max by (target, cause) (1000 * redis_stall_last_timestamp_seconds{")


@pytest.mark.parametrize("name", ["overview", "instance", "latency"])
def test_dashboards_about_servers_show_their_stalls(name: str) -> None:
    board: Json = json.loads((build.FOLDER / f"redis-pulse-{name}.json").read_text(encoding="utf-8"))
    titles = [panel["title"] for panel in data_panels(board)]
    assert {"Stalls in the chosen time", "Stall seconds by cause"} <= set(titles)


def test_queries_use_only_metrics_of_the_exporter_and_listed_others(board: Json) -> None:
    expressions_name_known_metrics(expressions(board), others=FOREIGN)


def test_panel_with_metrics_of_others_says_when_it_is_empty(board: Json) -> None:
    """Most users have none of them. A panel without data and without a reason would look broken."""
    for panel in data_panels(board):
        if any(metrics_in_expression(target["expr"]) & FOREIGN for target in panel["targets"]):
            assert "Empty when no " in panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["noValue"].startswith("no"), panel["title"]


def test_panel_ids_are_unique_and_panels_do_not_overlap(board: Json) -> None:
    ids = [panel["id"] for panel in panels(board)]
    assert len(set(ids)) == len(ids)
    positions = {panel["title"]: panel["gridPos"] for panel in board["panels"]}
    for title, position in positions.items():
        assert position["x"] >= 0, title
        assert position["x"] + position["w"] <= 24, f"{title} extends beyond the right edge"
    for (one, a), (other, b) in combinations(positions.items(), 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, f"{one} and {other} overlap"


def test_panel_that_does_not_fit_is_on_the_next_line() -> None:
    board = Board("x", "X", "Only here.")
    for title, width in (("a", 16), ("b", 8), ("c", 4), ("d", 24)):
        board.add(graph_panel(title, Query("up"), unit="short", description="-"), width=width, height=5)
    board.row("r")
    board.add(graph_panel("e", Query("up"), unit="short", description="-"), width=8, height=5)
    panels_built = board.build()["panels"]
    positions = {panel["title"]: tuple(panel["gridPos"].get(key, 0) for key in "xywh") for panel in panels_built}
    assert positions == {
        "a": (0, 0, 16, 5),
        "b": (16, 0, 8, 5),
        "c": (0, 5, 4, 5),
        "d": (0, 10, 24, 5),
        "r": (0, 15, 24, 1),
        "e": (0, 16, 8, 5),
    }
