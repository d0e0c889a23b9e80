"""The seventeen rules of grafana/dashboard-linter, each as a test of ours: that linter is Go, and CI has no Go.

https://github.com/grafana/dashboard-linter/blob/main/docs/index.md names them. Where it only looks at some types of
panel, all are looked at here; queries are of Prometheus alone, so its two rules of LogQL hold if there is none.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from grafana import build

Json = dict[str, Any]

#: Units of Grafana that the dashboards may use; a misspelt one is shown as if it were a suffix.
UNITS = {
    *("none", "short", "locale", "percentunit", "bytes", "binBps"),
    *("s", "dtdurations", "ops", "cps", "reqps"),
}
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\{([^}]*)\}(\[[^\]]*\])?")


@pytest.fixture(params=sorted(build.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> Json:
    found: Json = json.loads(request.param.read_text(encoding="utf-8"))
    return found


def panels(board: Json) -> Iterator[Json]:
    """Every panel that shows something, those inside collapsed rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels") or ()
        else:
            yield panel


def expressions(board: Json) -> Iterator[str]:
    for panel in panels(board):
        yield from (target["expr"] for target in panel["targets"])


def variable(board: Json, name: str) -> Json:
    [found] = [one for one in board["templating"]["list"] if one["name"] == name]
    return dict(found)


def test_template_datasource_rule(board: Json) -> None:
    """Rule: one variable for the data source, under the name and label that everybody expects."""
    [source] = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    assert (source["name"], source["label"], source["query"]) == ("datasource", "Data source", "prometheus")


@pytest.mark.parametrize("name", ["job", "instance", "target"])
def test_template_job_rule_and_template_instance_rule(board: Json, name: str) -> None:
    """Two rules: a label can be chosen, several values of it, or all; ours is held to it as well."""
    one = variable(board, name)
    assert (one["type"], one["label"]) == ("query", name.title())
    assert one["datasource"]["uid"] == "${datasource}"
    assert one["multi"]
    assert one["includeAll"]
    assert one["allValue"] == ".+"


def test_template_label_promql_rule(board: Json) -> None:
    """Rule: what fills a variable is a function that Grafana knows, of an expression that can be read."""
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            assert re.fullmatch(r"label_values\(redis_\w+(\{[^{}]*\})?, \w+\)", one["query"]), one["query"]


def test_template_on_time_change_reload_rule(board: Json) -> None:
    """Rule: new targets appear when the time range moves on."""
    assert [
        one["refresh"] for one in board["templating"]["list"] if one["type"] == "query" and one["refresh"] != 2
    ] == []


def test_panel_datasource_rule(board: Json) -> None:
    """Rule: every panel asks the data source that was chosen."""
    for panel in panels(board):
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]


def test_panel_title_description_rule(board: Json) -> None:
    """Rule: every panel has a title and a description."""
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"], panel["title"]


def test_panel_units_rule(board: Json) -> None:
    """Rule: every panel has a unit, and Grafana knows it; so do single columns and series."""
    for panel in panels(board):
        config = panel["fieldConfig"]
        units = [config["defaults"]["unit"]]
        units += [one["value"] for each in config["overrides"] for one in each["properties"] if one["id"] == "unit"]
        assert set(units) <= UNITS, panel["title"]


def test_panel_no_targets_rule(board: Json) -> None:
    """Rule: every panel asks something."""
    for panel in panels(board):
        assert panel["targets"], panel["title"]


def test_target_logql_rule_and_target_logql_auto_rule(board: Json) -> None:
    """Two rules about Loki: nothing asks it."""
    for panel in panels(board):
        assert panel["datasource"]["type"] == "prometheus"


def test_target_promql_rule(board: Json) -> None:
    """Rule: valid PromQL; that Prometheus can read all of it is tried in tests/integration, here only its brackets."""
    for expression in expressions(board):
        depth = 0
        for character in re.sub(r'"[^"]*"', "", expression):
            depth += (character in "([{") - (character in ")]}")
            assert depth >= 0, expression
        assert expression
        assert depth == 0, expression


def test_target_rate_interval_rule(board: Json) -> None:
    """Rule: a rate is taken over the interval that fits the resolution; other functions may say what they mean."""
    for expression in expressions(board):
        for function, interval in re.findall(r"\b(\w+)\(\w+\{[^}]*\}\[([^\]]*)\]", expression):
            if function in ("rate", "irate"):
                assert interval == "$__rate_interval", expression


@pytest.mark.parametrize("label", ["job", "instance"])
def test_target_job_rule_and_target_instance_rule(board: Json, label: str) -> None:
    """Two rules: every selector is narrowed to the chosen jobs and instances."""
    for expression in expressions(board):
        for _, matchers, _ in SELECTOR.findall(expression):
            assert f'{label}=~"${label}"' in matchers, expression
        bare = re.sub(r"\b(?:by|on) \([^)]*\)", "", re.sub(r'"[^"]*"', "", SELECTOR.sub("", expression)))
        assert not re.search(r"\bredis_\w+|\bprocess_\w+", bare), f"a metric without matchers: {expression}"


def test_target_counter_agg_rule(board: Json) -> None:
    """Rule: a counter is never shown as it stands."""
    for expression in expressions(board):
        for match in SELECTOR.finditer(expression):
            if match[1].endswith(("_total", "_bucket", "_sum", "_count")):
                assert match[3], expression
                assert expression[: match.start()].endswith(("rate(", "increase(")), expression


def test_uneditable_dashboard_rule(board: Json) -> None:
    """Rule: nobody changes by accident what comes from a file."""
    assert board["editable"] is False
