"""Dashboards: provisioning-ready, every panel explained, nothing overlaps, and no metric that we do not export."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from grafana import build
from grafana.common import Board
from grafana.panels import Query, graph_panel
from grafana.slo_math import WINDOWS
from tests.metric_names import expressions_name_known_metrics

FILES = sorted(build.FOLDER.glob("*.json"))
Json = dict[str, Any]


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def board(path: Path) -> Json:
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels(board: Json) -> Iterator[Json]:
    """Every panel, those inside collapsed rows too."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def drawn(board: Json) -> Iterator[Json]:
    """Every panel that shows something."""
    return (panel for panel in panels(board) if panel["type"] != "row")


def expressions(board: Json) -> Iterator[str]:
    for panel in drawn(board):
        yield from (target["expr"] for target in panel["targets"])
    yield from (annotation["expr"] for annotation in board["annotations"]["list"])


def test_the_committed_files_are_what_the_code_builds() -> None:
    built = build.build_all()
    assert set(FILES) == set(built), "a dashboard is missing or left over: run `make docs` and commit what it wrote"
    for path, text in built.items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path.name} is stale: run `make docs` and commit what it wrote"
        )


def test_it_can_be_provisioned(path: Path, board: Json) -> None:
    """What an export for sharing holds cannot be provisioned: «${DS_PROMETHEUS} was not found»."""
    text = path.read_text(encoding="utf-8")
    assert "__inputs" not in text
    assert "__requires" not in text
    assert "${DS_" not in text
    assert board.get("id") is None, "an id belongs to one database; the uid names the dashboard"
    assert board["uid"] == path.stem
    assert 36 <= board["schemaVersion"] <= 42


def test_it_is_found_and_cannot_be_edited_by_accident(board: Json) -> None:
    assert board["editable"] is False
    assert "redis-pulse" in board["tags"]
    assert board["description"]
    [link] = board["links"]
    assert link["keepTime"]
    assert link["includeVars"]
    assert link["tags"] == ["redis-pulse"]


def test_the_variables_are_the_common_ones_and_all_means_any_value(board: Json) -> None:
    variables = board["templating"]["list"]
    assert [one["name"] for one in variables][:4] == ["datasource", "job", "instance", "target"]
    assert (variables[0]["type"], variables[0]["query"]) == ("datasource", "prometheus")
    for one in variables[1:4]:
        assert one["multi"]
        assert one["includeAll"]
        assert one["allValue"] == ".+"
        assert one["current"]["value"] == ["$__all"]
        assert one["refresh"] == 2, "new targets appear when the time range moves on"
        assert one["datasource"]["uid"] == "${datasource}"
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"])
        assert found
        assert found[2] == one["name"]
        expressions_name_known_metrics([found[1]])


def test_every_panel_has_a_title_a_unit_and_says_what_to_do(board: Json) -> None:
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles), "two panels bear one title"
    for panel in drawn(board):
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"].get("unit"), f"{panel['title']} has no unit"
        assert len(panel.get("description", "")) > 60, f"{panel['title']} does not say what to do about what it shows"
        assert panel["description"].endswith("."), panel["title"]


def test_every_panel_and_annotation_asks_the_chosen_data_source(board: Json) -> None:
    for one in [*drawn(board), *board["annotations"]["list"]]:
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for panel in drawn(board):
        assert panel["targets"], f"{panel['title']} asks nothing"
        for target in panel["targets"]:
            assert target.get("datasource", panel["datasource"]) == panel["datasource"]


def test_no_window_is_shorter_than_the_resolution_of_a_graph(board: Json) -> None:
    """Scraped each minute, a fixed [1m] is empty: only burn rates and marks name their windows."""
    burns = board["uid"] in ("redis-pulse-slo", "redis-pulse-overview")
    known = {"$__rate_interval", "$__range", *(WINDOWS if burns else ())}
    for panel in drawn(board):
        for target in panel["targets"]:
            assert set(re.findall(r"\[([^\]]*)\]", target["expr"])) <= known, panel["title"]


def test_no_condition_cuts_holes_into_a_graph(board: Json) -> None:
    """Grafana draws a line across the points that ``> 0`` or topk leaves out; ``@ end()`` keeps whole series."""
    for panel in drawn(board):
        for target in panel["targets"] if panel["type"] == "timeseries" else ():
            expression = target["expr"]
            assert not expression.startswith("topk("), panel["title"]
            cut = expression.rstrip(")").endswith("> 0") and re.search(r"\b(?:rate|increase)\(", expression)
            if cut and " / (" not in expression:  # nothing is missed where the whole of a ratio is 0
                assert "@ end()" in expression, f"{panel['title']}: {expression}"


def test_what_many_do_not_have_is_collapsed(board: Json) -> None:
    """Nobody without a cluster, a Sentinel or a source of targets scrolls past panels that say so."""
    rows = {one["title"]: one for one in board["panels"] if one["type"] == "row"}
    for title, row in rows.items():
        absent = title.startswith(("Cluster", "Sentinel", "Discovery"))
        assert row["collapsed"] is absent, title
        assert bool(row["panels"]) is absent, title
        assert all(panel["gridPos"]["y"] > row["gridPos"].get("y", 0) for panel in row["panels"]), title


def test_marks_show_restarts_changes_of_role_and_openings(board: Json) -> None:
    names = [one["name"] for one in board["annotations"]["list"]]
    assert names == ["Restart", "Role change", "Breaker opened"]


def test_no_metric_is_named_that_we_do_not_export(board: Json) -> None:
    expressions_name_known_metrics(expressions(board))


def test_panel_ids_are_unique_and_no_panel_covers_another(board: Json) -> None:
    ids = [panel["id"] for panel in panels(board)]
    assert len(set(ids)) == len(ids)
    places = {panel["title"]: panel["gridPos"] for panel in board["panels"]}
    for title, place in places.items():
        assert place["x"] >= 0, title
        assert place["x"] + place["w"] <= 24, f"{title} stands beyond the right edge"
    for (one, a), (other, b) in combinations(places.items(), 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, f"{one} and {other} overlap"


def test_a_panel_that_does_not_fit_stands_on_the_next_line() -> None:
    board = Board("x", "X", "Only here.")
    for title, width in (("a", 16), ("b", 8), ("c", 4), ("d", 24)):
        board.add(graph_panel(title, Query("up"), unit="short", description="-"), width=width, height=5)
    board.row("r")
    board.add(graph_panel("e", Query("up"), unit="short", description="-"), width=8, height=5)
    places = {one["title"]: tuple(one["gridPos"].get(key, 0) for key in "xywh") for one in board.build()["panels"]}
    assert places == {
        "a": (0, 0, 16, 5),
        "b": (16, 0, 8, 5),
        "c": (0, 5, 4, 5),
        "d": (0, 10, 24, 5),
        "r": (0, 15, 24, 1),
        "e": (0, 16, 8, 5),
    }
