"""Functions that create panels: each panel needs a unit, and a description that tells the reader what to do.

A panel that may legitimately have no data must state when (``Empty``), for the reader and for the tests.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common as ui
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as ui_model
from grafana_foundation_sdk.models import dashboard as model

from grafana.variables import DATASOURCE, GREEN

BOTTOM = ui_model.LegendPlacement.BOTTOM
#: The unit of counts: it shows 1,200. An axis with the unit "short" may show 1 K three times.
COUNT = "locale"
#: The last words in the legends of secondary series, which are drawn dashed.
SECONDARY = (
    *("resident", "blocked", "expired", "misses", "out", "limit", "partial", "p50"),
    *("network", "smoothed", "longest"),
)
#: The last word in the legend of the objective, which is a target value and not a measurement.
OBJECTIVE = "objective"

Steps = Sequence[tuple[float | None, str]]


class Query(NamedTuple):
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


class Empty(NamedTuple):
    """When a panel may legitimately have no data, and the short text that it then shows."""

    when: str = ""
    shown: str = "no data"


class State(NamedTuple):
    """One value of a state timeline, with its text and colour."""

    value: int
    text: str
    color: str


#: A panel that always has data.
FULL = Empty()


def stat_panel(
    title: str,
    expr: str,
    *,
    unit: str,
    description: str,
    steps: Steps,
    trend: bool = True,
    decimals: int | None = None,
    empty: Empty = FULL,
) -> stat.Panel:
    """Return a panel with one number, coloured by thresholds, with its trend in the background."""
    panel = (
        stat.Panel()
        .title(title)
        .description(described(description, empty))
        .unit(unit)
        .datasource(DATASOURCE)
        .with_target(target(Query(expr, title), 0))
        .reduce_options(ui.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .color_mode(ui_model.BigValueColorMode.VALUE)
        .graph_mode(ui_model.BigValueGraphMode.AREA if trend else ui_model.BigValueGraphMode.NONE)
        .wide_layout(False)
        .thresholds(thresholds(*steps))
        .no_value(empty.shown)
    )
    return panel if decimals is None else panel.decimals(decimals)


def graph_panel(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    limits: Steps = (),
    least_top: float | None = None,
    logarithmic: bool = False,
    stacked: bool = False,
    empty: Empty = FULL,
) -> timeseries.Panel:
    """Return a graph of lines over time.

    ``limits`` are (value, colour): dashed lines where an alert fires or an objective is missed. ``least_top`` is the
    lowest maximum of the axis: without it, Grafana would zoom into small values while all is well. A series is dashed
    if its legend ends in a word of ``SECONDARY``. It is dotted and has no colour if its legend ends in ``OBJECTIVE``.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(described(description, empty))
        .unit(unit)
        .datasource(DATASOURCE)
        .no_value(empty.shown)
        .line_width(1.5)
        .fill_opacity(40 if stacked else 0)
        .show_points(ui_model.VisibilityMode.AUTO)
        .span_nulls(False)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .legend(_legend())
        .tooltip(ui.VizTooltipOptions().mode(ui_model.TooltipDisplayMode.MULTI).sort(ui_model.SortOrder.DESCENDING))
    )
    if logarithmic:
        panel.scale_distribution(ui.ScaleDistributionConfig().type(ui_model.ScaleDistribution.LOG).log(10))
    else:
        panel.min(0)
    if stacked:
        panel.stacking(ui.StackingConfig().mode(ui_model.StackingMode.NORMAL).group("A")).line_width(0.5)
    if least_top is not None:
        panel.axis_soft_max(least_top)
    if unit == COUNT:
        panel.decimals(0)
    if any(query.legend.endswith(SECONDARY) for query in queries):
        panel.override_by_regexp(f"/(^| )({'|'.join(SECONDARY)})$/", [_dash(6, 4), override("custom.fillOpacity", 0)])
    if any(query.legend.endswith(OBJECTIVE) for query in queries):
        colour = override("color", {"mode": "fixed", "fixedColor": "text"})
        panel.override_by_regexp(f"/{OBJECTIVE}$/", [_dash(3, 5), override("custom.fillOpacity", 0), colour])
    for index, query in enumerate(queries):
        panel.with_target(target(query, index))
    if limits:
        panel.thresholds(thresholds((None, GREEN), *limits)).thresholds_style(
            ui.GraphThresholdsStyleConfig().mode(ui_model.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def states_panel(
    title: str,
    *queries: Query,
    states: Sequence[State],
    description: str,
    empty: Empty = FULL,
) -> statetimeline.Panel:
    """Return a state timeline: one bar for each series, coloured by the state that its value stands for."""
    mapping = {
        str(state.value): model.ValueMappingResult(text=state.text, color=state.color, index=index)
        for index, state in enumerate(states)
    }
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(described(description, empty))
        .unit("none")
        .datasource(DATASOURCE)
        .mappings([model.ValueMap(options=mapping)])
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds((None, GREEN)))
        .no_value(empty.shown)
        .merge_values(True)
        .show_value(ui_model.VisibilityMode.NEVER)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(80)
        .legend(ui.VizLegendOptions().show_legend(True).display_mode(ui_model.LegendDisplayMode.LIST).placement(BOTTOM))
    )
    for index, query in enumerate(queries):
        panel.with_target(target(query, index))
    return panel


def thresholds(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Return thresholds: each step is (value, colour), and the first step has the value None."""
    models = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(models)


def override(name: str, value: Any) -> model.DynamicConfigValue:
    """Return an override that sets one option, named by its path, for some fields only."""
    return model.DynamicConfigValue(id_val=name, value=value)


def target(query: Query, index: int) -> prometheus.Dataquery:
    """Return a range query; ``index`` is its number among the queries of the panel, and gives its letter."""
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range().ref_id(chr(ord("A") + index))


def described(description: str, empty: Empty) -> str:
    """Return a description that says when the panel has no data."""
    return f"{description} Empty when {empty.when}." if empty.when else description


def _dash(*lengths: int) -> model.DynamicConfigValue:
    return override("custom.lineStyle", {"fill": "dash", "dash": list(lengths)})


def _legend() -> ui.VizLegendOptions:
    return ui.VizLegendOptions().show_legend(True).display_mode(ui_model.LegendDisplayMode.LIST).placement(BOTTOM)
