"""The seventeen rules of grafana/dashboard-linter, each as a test. That linter needs Go, which CI does not have.

https://github.com/grafana/dashboard-linter/blob/main/docs/index.md lists the rules. Some of them check only some types
of panels. Here they check all panels. There are two rules about LogQL. They hold because no query uses it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from grafana import build
from grafana.latency_clients import FOREIGN
from grafana.promql import HISTOGRAMS

Json = dict[str, Any]

#: Units of Grafana that the dashboards can use. Grafana shows an unknown unit as a suffix.
UNITS = {
    *("none", "short", "locale", "percentunit", "bytes", "binBps"),
    *("s", "dtdurations", "dateTimeAsIso", "ops", "cps", "reqps"),
}
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\{([^}]*)\}(\[[^\]]*\])?")


@pytest.fixture(params=sorted(build.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> Json:
    board: Json = json.loads(request.param.read_text(encoding="utf-8"))
    return board


def panels(board: Json) -> Iterator[Json]:
    """Yield every panel except the rows, including those in collapsed rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels") or ()
        else:
            yield panel


def expressions(board: Json) -> Iterator[str]:
    for panel in panels(board):
        yield from (target["expr"].replace(HISTOGRAMS, "seconds_bucket") for target in panel["targets"])


def variable(board: Json, name: str) -> Json:
    [variable] = [one for one in board["templating"]["list"] if one["name"] == name]
    return dict(variable)


def test_template_datasource_rule(board: Json) -> None:
    """Rule: one variable for the data source, with the usual name and label."""
    [source] = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    assert (source["name"], source["label"], source["query"]) == ("datasource", "Data source", "prometheus")


@pytest.mark.parametrize("name", ["job", "instance", "target"])
def test_template_job_rule_and_template_instance_rule(board: Json, name: str) -> None:
    """Two rules: users can select one value, several values, or all. The variable ``target`` is checked too."""
    one = variable(board, name)
    assert (one["type"], one["label"]) == ("query", name.title())
    assert one["datasource"]["uid"] == "${datasource}"
    assert one["multi"]
    assert one["includeAll"]
    assert one["allValue"] == ".+"


def test_template_label_promql_rule(board: Json) -> None:
    """Rule: the query of a variable is a function of Grafana with a valid expression."""
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            assert re.fullmatch(r"label_values\(redis_\w+(\{[^{}]*\})?, \w+\)", one["query"]), one["query"]


def test_template_on_time_change_reload_rule(board: Json) -> None:
    """Rule: variables are refreshed when the time range changes, so that new targets appear."""
    assert [
        one["refresh"] for one in board["templating"]["list"] if one["type"] == "query" and one["refresh"] != 2
    ] == []


def test_panel_datasource_rule(board: Json) -> None:
    """Rule: every panel queries the selected data source."""
    for panel in panels(board):
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]


def test_panel_title_description_rule(board: Json) -> None:
    """Rule: every panel has a title and a description."""
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"], panel["title"]


def test_panel_units_rule(board: Json) -> None:
    """Rule: every panel has a unit that Grafana knows. The same is true for units of columns and series."""
    for panel in panels(board):
        config = panel["fieldConfig"]
        units = [config["defaults"]["unit"]]
        units += [one["value"] for each in config["overrides"] for one in each["properties"] if one["id"] == "unit"]
        assert set(units) <= UNITS, panel["title"]


def test_panel_no_targets_rule(board: Json) -> None:
    """Rule: every panel has a query."""
    for panel in panels(board):
        assert panel["targets"], panel["title"]


def test_target_logql_rule_and_target_logql_auto_rule(board: Json) -> None:
    """Two rules about Loki: no panel uses it."""
    for panel in panels(board):
        assert panel["datasource"]["type"] == "prometheus"


def test_target_promql_rule(board: Json) -> None:
    """Rule: PromQL is valid. Only brackets are checked here. In tests/integration, Prometheus evaluates every query."""
    for expression in expressions(board):
        depth = 0
        for character in re.sub(r'"[^"]*"', "", expression):
            depth += (character in "([{") - (character in ")]}")
            assert depth >= 0, expression
        assert expression
        assert depth == 0, expression


def test_target_rate_interval_rule(board: Json) -> None:
    """Rule: a rate has the interval that fits the resolution. Other functions may have a fixed one."""
    for expression in expressions(board):
        for function, interval in re.findall(r"\b(\w+)\(\w+\{[^}]*\}\[([^\]]*)\]", expression):
            if function in ("rate", "irate"):
                assert interval == "$__rate_interval", expression


@pytest.mark.parametrize("label", ["job", "instance"])
def test_target_job_rule_and_target_instance_rule(board: Json, label: str) -> None:
    """Two rules: every selector is limited to the selected jobs and instances, except those of other programs."""
    for expression in expressions(board):
        for metric, matchers, _ in SELECTOR.findall(expression):
            assert f'{label}=~"${label}"' in matchers or metric in FOREIGN, expression
        rest = re.sub(r"\b(?:by|on) \([^)]*\)", "", re.sub(r'"[^"]*"', "", SELECTOR.sub("", expression)))
        assert not re.search(r"\bredis_\w+|\bprocess_\w+", rest), f"a metric without matchers: {expression}"


def test_target_counter_agg_rule(board: Json) -> None:
    """Rule: every counter is inside of rate or increase. The buckets of a gauge histogram are gauges."""
    for expression in expressions(board):
        for match in SELECTOR.finditer(expression):
            is_gauge = match[1].startswith("redis_key_size_")
            if not is_gauge and match[1].endswith(("_total", "_bucket", "_sum", "_count")):
                assert match[3], expression
                assert expression[: match.start()].endswith(("rate(", "increase(")), expression


def test_uneditable_dashboard_rule(board: Json) -> None:
    """Rule: users cannot change a provisioned dashboard by accident."""
    assert board["editable"] is False
