"""Heatmaps: a histogram over time shows the distribution of the values, not only a mean or one quantile."""

from grafana_foundation_sdk.builders import heatmap
from grafana_foundation_sdk.models import common as ui_model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model

from grafana.panels import FULL, Empty, Query, described, target
from grafana.variables import DATASOURCE


def heatmap_panel(title: str, expr: str, *, unit: str, description: str, empty: Empty = FULL) -> heatmap.Panel:
    """Return a heatmap; ``expr`` must be summed by ``le``."""
    return (
        heatmap.Panel()
        .title(title)
        .description(described(description, empty))
        .unit(unit)
        .datasource(DATASOURCE)
        .with_target(target(Query(expr, "{{le}}"), 0).format(prometheus_model.PromQueryFormat.HEATMAP))
        .calculate(False)
        .no_value(empty.shown)
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
