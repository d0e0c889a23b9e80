"""Tables of servers: one row for each server, merged from several queries that have the same labels."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common as ui
from grafana_foundation_sdk.builders import prometheus, table
from grafana_foundation_sdk.models import common as ui_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model

from grafana.panels import override
from grafana.variables import DATASOURCE

#: The link of a row: the dashboard Instance for this server, with the same time range and data source.
INSTANCE_LINK = (
    "/d/redis-pulse-instance?${__url_time_range}&${datasource:queryparam}&${instance:queryparam}"
    "&var-job=${__data.fields.job:percentencode}&var-target=${__data.fields.Target:percentencode}"
)
#: The text of a cell if the server does not report the value.
NO_VALUE = "-"

#: The background of a cell whose value is good.
GOOD = "transparent"
#: The value of the label ``role`` is "slave", as in INFO.
ROLES = {"slave": ("replica", "text"), "master": ("master", "text"), "sentinel": ("sentinel", "text")}

Steps = Sequence[tuple[float | None, str]]


class Column(NamedTuple):
    """One column: the value of ``expr``. Without ``expr``, the label ``label``, by default the title in lower case.

    ``steps`` colour the background, or the text if ``quiet`` is set. ``texts`` are shown instead of values. Good values
    have no colour (``GOOD``).
    """

    title: str
    expr: str = ""
    unit: str = "none"
    steps: Steps = ()
    texts: Mapping[Any, tuple[str, str]] = {}
    decimals: int | None = None
    quiet: bool = False
    gauge: bool = False
    hidden: bool = False
    label: str = ""
    width: int | None = None


def table_panel(
    title: str,
    columns: Sequence[Column],
    *,
    labels: Mapping[str, str],
    description: str,
    sort: Sequence[tuple[str, bool]],
    no_value: str = "no data",
) -> table.Panel:
    """Return a table with one row for each combination of ``labels`` (label → heading), and with ``columns``.

    ``sort`` holds (heading, descending). A column without an expression shows a label of one of the expressions.
    """
    queried = [column for column in columns if column.expr]
    value_titles = {
        f"Value #{_ref_id(index)}" if len(queried) > 1 else "Value": column.title
        for index, column in enumerate(queried)
    }
    headings = [*labels.values(), *(column.title for column in columns)]
    field_of = {column.title: column.label or column.title.lower() for column in columns}
    field_of |= {heading: field for field, heading in (value_titles | dict(labels)).items()}
    fields = [field_of[heading] for heading in headings]
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .no_value(no_value)
        .datasource(DATASOURCE)
        .min_width(60)
        .cell_height(ui_model.TableCellHeight.SM)
        .sort_by([ui.TableSortByFieldState().display_name(name).desc(descending) for name, descending in sort])
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {field: index for index, field in enumerate(fields)},
                    "renameByName": dict(zip(fields, headings, strict=True)),
                },
            )
        )
    )
    for index, column in enumerate(queried):
        panel.with_target(
            prometheus.Dataquery()
            .expr(column.expr)
            .instant()
            .format(prometheus_model.PromQueryFormat.TABLE)
            .ref_id(_ref_id(index))
        )
    for column in columns:
        panel.override_by_name(column.title, _properties(column))
    if "target" in labels:
        link = {"title": "Show this server", "url": INSTANCE_LINK, "targetBlank": False}
        panel.override_by_name(
            labels["target"],
            [override("links", [link]), override("custom.width", 240)],
        )
    panel.override_by_name("job", [override("custom.hidden", True)])
    return panel


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    properties = [override("unit", column.unit), override("noValue", NO_VALUE)]
    mappings: list[dict[str, Any]] = [
        {"type": "special", "options": {"match": "null+nan", "result": {"text": NO_VALUE, "color": "text"}}}
    ]
    if column.hidden:
        return [override("custom.hidden", True)]
    if column.decimals is not None:
        properties.append(override("decimals", column.decimals))
    if column.texts:
        mapping = {
            str(value): {"text": text, "color": color, "index": index}
            for index, (value, (text, color)) in enumerate(column.texts.items())
        }
        mappings.append({"type": "value", "options": mapping})
    properties.append(override("mappings", mappings))
    if column.width:
        properties.append(override("custom.width", column.width))
    if column.gauge:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        properties += [override("custom.cellOptions", cell), override("min", 0), override("max", 1)]
    elif column.steps or column.texts:
        cell = {"type": "color-text"} if column.quiet else {"type": "color-background", "mode": "basic"}
        properties.append(override("custom.cellOptions", cell))
    if column.steps:
        steps = [{"value": value, "color": color} for value, color in column.steps]
        properties += [override("thresholds", {"mode": "absolute", "steps": steps})]
        properties.append(override("color", {"mode": "thresholds"}))
    return properties


def _ref_id(index: int) -> str:
    return chr(ord("A") + index)
