"""What all dashboards share: variables, selectors, links, annotations, and where panels stand.

A dashboard is a ``Board``: rows and panels are placed from left to right, and ids and positions are given here, so that
two panels never share a place. The panels themselves come from ``grafana.panels``.
"""

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

TAG = "redis-pulse"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS = 24

#: The series of the chosen targets.
TARGETS = 'job=~"$job", instance=~"$instance", target=~"$target"'
#: The series of the exporters themselves, which bear no target.
EXPORTERS = 'job=~"$job", instance=~"$instance"'
#: What makes a server one: two exporters of a job that probe the same target are two witnesses of one server.
BY_TARGET = "by (job, target)"

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

AnyPanel = stat.Panel | timeseries.Panel | heatmap.Panel | statetimeline.Panel


def of(metric: str, more: str = "") -> str:
    """Select the series of the chosen targets; ``more`` adds matchers."""
    return f"{metric}{{{TARGETS}{', ' if more else ''}{more}}}"


def own(metric: str, more: str = "") -> str:
    """Select the series of the exporters themselves."""
    return f"{metric}{{{EXPORTERS}{', ' if more else ''}{more}}}"


def rate(selector: str) -> str:
    """Per second, over the interval that fits the resolution of the graph."""
    return f"rate({selector}[$__rate_interval])"


def ratio(part: str, whole: str, by: str = BY_TARGET) -> str:
    """Part of a whole; both are summed first, for no ratio may be averaged. Silent where the whole is 0."""
    return f"sum {by} ({part}) / (sum {by} ({whole}) > 0)"


def _variables() -> list[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    """``redis_operations_total`` is ours alone: other exporters for Redis know ``redis_up`` too."""
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("job", "Job", "label_values(redis_operations_total, job)"),
        _choice("instance", "Instance", 'label_values(redis_operations_total{job=~"$job"}, instance)'),
        _choice("target", "Target", f"label_values(redis_operations_total{{{EXPORTERS}}}, target)"),
    ]


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(DATASOURCE)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
    )


def _annotations() -> list[dashboard.AnnotationQuery]:
    restarts = f"resets({of('redis_uptime_in_seconds')}[2m]) > 0"
    opened = of("redis_circuit_breaker_transitions_total", 'to_state="open"')
    openings = f"increase({opened}[1m]) > 0"
    return [_annotation("Restarts", restarts, BLUE), _annotation("Breaker openings", openings, RED)]


def _annotation(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).expr(expr).icon_color(color).enable(True)


class Board:
    """A dashboard that is filled from left to right, row by row."""

    def __init__(self, uid: str, title: str, description: str, *, since: str = "now-1h") -> None:
        """Begin ``<TAG> / <title>``; ``uid`` is what links and bookmarks hold on to, so it never changes."""
        self.uid = uid
        self._id = self._x = self._y = self._height = 0
        self._built = (
            dashboard.Dashboard(f"{TAG} / {title}")
            .uid(uid)
            .description(description)
            .tags([TAG, "redis", "valkey"])
            .readonly()
            .timezone("browser")
            .time(since, "now")
            .refresh("30s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .variables(list(_variables()))
            .annotations(list(_annotations()))
            .link(
                dashboard.DashboardLink(TAG)
                .type(model.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .tooltip("The other dashboards of redis-pulse")
                .as_dropdown(True)
                .keep_time(True)
                .include_vars(True)
            )
        )

    def row(self, title: str) -> None:
        """Begin a row of panels under a heading."""
        self._next_line()
        heading = dashboard.Row(title).id(self._next_id()).grid_pos(model.GridPos(h=1, w=COLUMNS, x=0, y=self._y))
        self._built.with_row(heading)
        self._y += 1

    def add(self, panel: AnyPanel, *, width: int, height: int) -> None:
        """Place a panel beside the one before, or on a new line when it does not fit; sizes are grid units of 24."""
        if self._x + width > COLUMNS:
            self._next_line()
        panel.id(self._next_id()).grid_pos(model.GridPos(h=height, w=width, x=self._x, y=self._y))
        self._built.with_panel(panel)
        self._x += width
        self._height = max(self._height, height)

    def build(self) -> dict[str, Any]:
        """Return the dashboard as Grafana's JSON model."""
        built: dict[str, Any] = json.loads(json.dumps(self._built.build(), cls=JSONEncoder))
        for annotation in built["annotations"]["list"]:  # the SDK has no field for what stands beside the mark
            annotation |= {"titleFormat": f"{annotation['name']}: {{{{target}}}}", "step": "30s"}
        return built

    def _next_line(self) -> None:
        self._x, self._y, self._height = 0, self._y + self._height, 0

    def _next_id(self) -> int:
        self._id += 1
        return self._id
