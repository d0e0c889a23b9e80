"""The kinds of panel: none can be drawn without a unit and a description that says what to do about what is seen.

A panel that may rightly have no data says when (``empty_when``), for the reader and for the tests.
"""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as ui
from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as ui_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model

from grafana.common import DATASOURCE, GREEN, RED

BOTTOM = ui_model.LegendPlacement.BOTTOM
#: The last words of legends of series that stand beside another one.
BESIDE = ("resident", "blocked", "expired")


class Query(NamedTuple):
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


class State(NamedTuple):
    """One value of a state timeline, and how it is shown."""

    value: int
    text: str
    color: str


def thresholds(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from a value upwards; the first step has the value None."""
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def stat_panel(
    title: str, expr: str, *, unit: str, description: str, steps: Sequence[tuple[float | None, str]], trend: bool = True
) -> stat.Panel:
    """One number, coloured by its thresholds, with its trend behind it."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATASOURCE)
        .with_target(_target(Query(expr, title), "A"))
        .reduce_options(ui.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .color_mode(ui_model.BigValueColorMode.VALUE)
        .graph_mode(ui_model.BigValueGraphMode.AREA if trend else ui_model.BigValueGraphMode.NONE)
        .wide_layout(False)
        .thresholds(thresholds(*steps))
        .no_value("no data")
    )


def graph_panel(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    limit: float | None = None,
    least_top: float | None = None,
    logarithmic: bool = False,
    empty_when: str = "",
    no_value: str = "no data",
) -> timeseries.Panel:
    """Lines over time; ``limit`` draws a dashed line in red where an alert or an objective begins.

    ``least_top`` keeps the axis from zooming into nothing while all is well. A series whose legend ends in a word of
    ``BESIDE`` stands beside another and is dashed.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(f"{description} Empty when {empty_when}." if empty_when else description)
        .unit(unit)
        .datasource(DATASOURCE)
        .no_value(no_value)
        .line_width(1.5)
        .fill_opacity(6)
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
    if least_top is not None:
        panel.axis_soft_max(least_top)
    if unit == "short":
        panel.decimals(0)
    if any(query.legend.endswith(BESIDE) for query in queries):
        dashed = model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [6, 4]})
        unfilled = model.DynamicConfigValue(id_val="custom.fillOpacity", value=0)
        panel.override_by_regexp(f"/ ({'|'.join(BESIDE)})$/", [dashed, unfilled])
    for place, query in enumerate(queries):
        panel.with_target(_target(query, "ABCDEFGH"[place]))
    if limit is not None:
        panel.thresholds(thresholds((None, GREEN), (limit, RED))).thresholds_style(
            ui.GraphThresholdsStyleConfig().mode(ui_model.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def states_panel(title: str, query: Query, states: Sequence[State], *, description: str) -> statetimeline.Panel:
    """One bar for each series, coloured by the state that its value names."""
    mapping = {
        str(state.value): model.ValueMappingResult(text=state.text, color=state.color, index=place)
        for place, state in enumerate(states)
    }
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .datasource(DATASOURCE)
        .with_target(_target(query, "A"))
        .mappings([model.ValueMap(options=mapping)])
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds((None, GREEN)))
        .no_value("no data")
        .merge_values(True)
        .show_value(ui_model.VisibilityMode.NEVER)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(80)
        .legend(ui.VizLegendOptions().show_legend(True).display_mode(ui_model.LegendDisplayMode.LIST).placement(BOTTOM))
    )


def heatmap_panel(title: str, expr: str, *, unit: str, description: str) -> heatmap.Panel:
    """Draw a histogram over time; ``expr`` is summed by ``le``."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATASOURCE)
        .with_target(_target(Query(expr, "{{le}}"), "A").format(prometheus_model.PromQueryFormat.HEATMAP))
        .calculate(False)
        .no_value("no data")
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(ui_model.AxisPlacement.LEFT))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(ui_model.HeatmapCellLayout.LE))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .scale(heatmap_model.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .cell_gap(1)
        .mode(ui_model.TooltipDisplayMode.SINGLE)
        .show_y_histogram()
        .show_legend()
    )


def _legend() -> ui.VizLegendOptions:
    return ui.VizLegendOptions().show_legend(True).display_mode(ui_model.LegendDisplayMode.LIST).placement(BOTTOM)


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range().ref_id(ref_id)
