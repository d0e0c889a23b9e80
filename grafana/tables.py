"""A table of servers: one row each, put together from several queries that share the labels of a server."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common as ui
from grafana_foundation_sdk.builders import prometheus, table
from grafana_foundation_sdk.models import common as ui_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model

from grafana.panels import override
from grafana.variables import DATASOURCE

#: Where a row leads: the same time and data source, this one server.
INSTANCE_LINK = (
    "/d/redis-pulse-instance?${__url_time_range}&${datasource:queryparam}&${instance:queryparam}"
    "&var-job=${__data.fields.job:percentencode}&var-target=${__data.fields.Target:percentencode}"
)
#: Shown where a server says nothing of the kind.
NOTHING = "-"

WELL = "transparent"
#: INFO still says «slave».
ROLES = {"slave": ("replica", "text"), "master": ("master", "text"), "sentinel": ("sentinel", "text")}

Steps = Sequence[tuple[float | None, str]]


class Column(NamedTuple):
    """One column: the value of ``expr``, or the label ``label`` (the title in lower case) when there is none.

    ``steps`` colour the background, or the text with ``quiet``; ``texts`` are shown in place of values. What is well
    has no colour: ``WELL`` leaves the background as it is.
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
    """Show one row for each set of ``labels`` (label → heading), with ``columns``; ``sort`` holds (heading, falling).

    Columns without an expression are labels that one of the expressions bears.
    """
    asked = [column for column in columns if column.expr]
    names = {f"Value #{_ref(place)}" if len(asked) > 1 else "Value": one.title for place, one in enumerate(asked)}
    order = [*labels.values(), *(column.title for column in columns)]
    by_title = {one.title: one.label or one.title.lower() for one in columns}
    by_title |= {heading: name for name, heading in (names | dict(labels)).items()}
    fields = [by_title[heading] for heading in order]
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .no_value(no_value)
        .datasource(DATASOURCE)
        .min_width(60)
        .cell_height(ui_model.TableCellHeight.SM)
        .sort_by([ui.TableSortByFieldState().display_name(name).desc(falling) for name, falling in sort])
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {name: place for place, name in enumerate(fields)},
                    "renameByName": dict(zip(fields, order, strict=True)),
                },
            )
        )
    )
    for place, column in enumerate(asked):
        panel.with_target(
            prometheus.Dataquery()
            .expr(column.expr)
            .instant()
            .format(prometheus_model.PromQueryFormat.TABLE)
            .ref_id(_ref(place))
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
    found = [override("unit", column.unit), override("noValue", NOTHING)]
    mappings: list[dict[str, Any]] = [
        {"type": "special", "options": {"match": "null+nan", "result": {"text": NOTHING, "color": "text"}}}
    ]
    if column.hidden:
        return [override("custom.hidden", True)]
    if column.decimals is not None:
        found.append(override("decimals", column.decimals))
    if column.texts:
        mapping = {
            str(value): {"text": text, "color": color, "index": place}
            for place, (value, (text, color)) in enumerate(column.texts.items())
        }
        mappings.append({"type": "value", "options": mapping})
    found.append(override("mappings", mappings))
    if column.width:
        found.append(override("custom.width", column.width))
    if column.gauge:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        found += [override("custom.cellOptions", cell), override("min", 0), override("max", 1)]
    elif column.steps or column.texts:
        cell = {"type": "color-text"} if column.quiet else {"type": "color-background", "mode": "basic"}
        found.append(override("custom.cellOptions", cell))
    if column.steps:
        steps = [{"value": value, "color": color} for value, color in column.steps]
        found += [override("thresholds", {"mode": "absolute", "steps": steps})]
        found.append(override("color", {"mode": "thresholds"}))
    return found


def _ref(place: int) -> str:
    return chr(ord("A") + place)
