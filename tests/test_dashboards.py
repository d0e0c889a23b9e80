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
from tests.known import expressions_name_known_metrics

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


def test_there_is_an_overview_under_its_fixed_address() -> None:
    [overview] = [path for path in FILES if path.stem == "redis-pulse-overview"]
    board = json.loads(overview.read_text(encoding="utf-8"))
    assert (board["uid"], board["title"]) == ("redis-pulse-overview", "redis-pulse / Overview")


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


def test_every_query_is_narrowed_to_the_chosen_series(board: Json) -> None:
    for expression in expressions(board):
        for selector in re.findall(r"\{([^}]*)\}", expression):
            assert 'job=~"$job"' in selector, expression
            assert 'instance=~"$instance"' in selector, expression


def test_graphs_take_the_interval_that_fits_their_resolution(board: Json) -> None:
    for panel in drawn(board):
        for target in panel["targets"]:
            for interval in re.findall(r"\[([^\]]*)\]", target["expr"]):
                assert interval == "$__rate_interval", f"{panel['title']}: [{interval}]"


def test_a_counter_is_never_shown_as_it_stands(board: Json) -> None:
    for expression in expressions(board):
        for match in re.finditer(r"\w+_(?:total|bucket|sum|count)\{", expression):
            before = expression[: match.start()]
            assert before.endswith(("rate(", "increase(")), f"{match[0]} without rate(): {expression}"


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
