"""The kinds of panel: none can be drawn without a unit and a description that says what to do about what is seen.

A panel that may rightly have no data says when (``Empty``), for the reader and for the tests.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common as ui
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as ui_model
from grafana_foundation_sdk.models import dashboard as model

from grafana.variables import DATASOURCE, GREEN

BOTTOM = ui_model.LegendPlacement.BOTTOM
#: The unit of whole things: 1,200 and not 1 K, which an axis would show three times over.
COUNT = "locale"
#: The last words of legends of series that stand beside another one, and are dashed.
BESIDE = ("resident", "blocked", "expired", "misses", "out", "limit", "partial", "p50")
#: The last word of a legend that is no measurement but what is promised.
PROMISE = "objective"

Steps = Sequence[tuple[float | None, str]]


class Query(NamedTuple):
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


class Empty(NamedTuple):
    """When a panel may rightly have no data, and the few words that it then shows."""

    when: str = ""
    shown: str = "no data"


class State(NamedTuple):
    """One value of a state timeline or a stat, and how it is shown."""

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
    """One number, coloured by its thresholds, with its trend behind it."""
    panel = (
        stat.Panel()
        .title(title)
        .description(_described(description, empty))
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
    """Lines over time; ``limits`` draws dashed lines, (value, colour), where an alert or an objective begins.

    ``least_top`` keeps the axis from zooming into nothing while all is well. A series whose legend ends in a word of
    ``BESIDE`` stands beside another and is dashed; one that ends in ``PROMISE`` is dotted and has no colour.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(_described(description, empty))
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
    if any(query.legend.endswith(BESIDE) for query in queries):
        panel.override_by_regexp(f"/(^| )({'|'.join(BESIDE)})$/", [_dash(6, 4), override("custom.fillOpacity", 0)])
    if any(query.legend.endswith(PROMISE) for query in queries):
        plain = override("color", {"mode": "fixed", "fixedColor": "text"})
        panel.override_by_regexp(f"/{PROMISE}$/", [_dash(3, 5), override("custom.fillOpacity", 0), plain])
    for place, query in enumerate(queries):
        panel.with_target(target(query, place))
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
    """One bar for each series, coloured by the state that its value names."""
    mapping = {
        str(state.value): model.ValueMappingResult(text=state.text, color=state.color, index=place)
        for place, state in enumerate(states)
    }
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(_described(description, empty))
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
    for place, query in enumerate(queries):
        panel.with_target(target(query, place))
    return panel


def thresholds(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from a value upwards; the first step has the value None."""
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def override(name: str, value: Any) -> model.DynamicConfigValue:
    """Set one option of some fields only, by its path."""
    return model.DynamicConfigValue(id_val=name, value=value)


def target(query: Query, place: int) -> prometheus.Dataquery:
    """Ask for a range; ``place`` numbers the queries of a panel."""
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range().ref_id(chr(ord("A") + place))


def _described(description: str, empty: Empty) -> str:
    return f"{description} Empty when {empty.when}." if empty.when else description


def _dash(*lengths: int) -> model.DynamicConfigValue:
    return override("custom.lineStyle", {"fill": "dash", "dash": list(lengths)})


def _legend() -> ui.VizLegendOptions:
    return ui.VizLegendOptions().show_legend(True).display_mode(ui_model.LegendDisplayMode.LIST).placement(BOTTOM)
