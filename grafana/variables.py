"""The variables at the top of a dashboard, and the annotations that are drawn over all its graphs."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from grafana.promql import EXPORTERS, PING, increase, of

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE = "green", "yellow", "orange", "red", "blue", "purple"
#: The defaults of the settings ``slo.objective`` and ``slo.latency``.
OBJECTIVES, OBJECTIVE = ("0.9", "0.95", "0.99", "0.995", "0.999", "0.9995", "0.9999"), "0.999"
EDGE = "0.01"

#: The annotation whose value is the moment to mark, in milliseconds.
STALL = "Stall"

Variable = dashboard.DatasourceVariable | dashboard.QueryVariable | dashboard.CustomVariable


def common() -> list[Variable]:
    """Return the variables of all dashboards.

    They are filled from ``redis_operations_total``, because other exporters for Redis also have ``redis_up``.
    """
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("job", "Job", "label_values(redis_operations_total, job)"),
        _choice("instance", "Instance", 'label_values(redis_operations_total{job=~"$job"}, instance)'),
        _choice("target", "Target", f"label_values(redis_operations_total{{{EXPORTERS}}}, target)"),
    ]


def objectives() -> list[Variable]:
    """Return the variables of the SLO: the objective, and the latency edge of a good ping.

    The edge must be a bucket boundary of the histogram, so the boundaries are offered.
    """
    buckets = of("redis_operation_duration_seconds_bucket", PING)
    return [
        dashboard.CustomVariable("objective")
        .label("Objective")
        .description("Share of pings that must be good. The error budget is the rest up to 1.")
        .values(",".join(OBJECTIVES))
        .current(_option(OBJECTIVE))
        .options([_option(value, selected=value == OBJECTIVE) for value in OBJECTIVES]),
        dashboard.QueryVariable("edge")
        .label("Latency edge")
        .description("The longest good ping, in seconds. You can choose a bucket boundary of the histogram.")
        .query(f"label_values({buckets}, le)")
        .regex(r"/^[\d.]+(e-?\d+)?$/")
        .datasource(DATASOURCE)
        .current(_option(EDGE))
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NUMERICAL_ASC),
    ]


def histograms() -> Variable:
    """Return the variable that chooses the histograms of the quantiles. Its value is the end of their name."""
    choices = {"classic": "seconds_bucket", "native": "seconds"}
    return (
        dashboard.CustomVariable("histograms")
        .label("Histograms")
        .description(
            "What the quantiles are computed from. Native histograms are exact to 4.4 %, but need a Prometheus "
            "in which they are enabled."
        )
        .values(", ".join(f"{name} : {value}" for name, value in choices.items()))
        .current(model.VariableOption(selected=True, text="classic", value=choices["classic"]))
        .options(
            [
                model.VariableOption(selected=name == "classic", text=name, value=value)
                for name, value in choices.items()
            ]
        )
    )


def annotations() -> list[dashboard.AnnotationQuery]:
    """Return the annotations: restarts, role changes, circuit breakers that opened, and stalls."""
    opened = increase(of("redis_circuit_breaker_transitions_total", 'to_state="open"'), "1m")
    master = of("redis_role", 'role="master"')
    return [
        _annotation("Restart", f"max by (target) (resets({of('redis_uptime_in_seconds')}[2m])) > 0", BLUE),
        _annotation("Role change", f"max by (target) (changes({master}[2m])) > 0", PURPLE),
        _annotation("Breaker opened", f"max by (target) ({opened}) > 0", RED),
        _annotation(STALL, f"max by (target, cause) (1000 * {of('redis_stall_last_timestamp_seconds')})", ORANGE),
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


def _option(value: str, *, selected: bool = True) -> model.VariableOption:
    return model.VariableOption(selected=selected, text=value, value=value)


def _annotation(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).expr(expr).icon_color(color).enable(True)
