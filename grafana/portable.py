"""The dashboards in the form that Grafana exports for sharing: for grafana.com, for an import, and for the mixin.

Grafana asks for each of ``__inputs`` when it imports the file, and puts the answer where ``${NAME}`` stands. Files that
are provisioned must have none, because Grafana puts no questions then.
"""

from typing import Any

DATASOURCE = "DS_PROMETHEUS"
#: The oldest Grafana for which the dashboards are written.
GRAFANA = "11.0.0"
_PANELS = {
    "heatmap": "Heatmap",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}


def portable(board: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard that asks for its data source. Raise KeyError for an unknown type of panel."""
    source = f"${{{DATASOURCE}}}"
    current = {"selected": True, "text": source, "value": source}
    variables = [
        variable | {"current": current} if variable["name"] == "datasource" else variable
        for variable in board["templating"]["list"]
    ]
    panels = [inner for panel in board["panels"] for inner in (panel, *(panel.get("panels") or ()))]
    types = sorted({panel["type"] for panel in panels} - {"row"})
    return board | {
        "__inputs": [
            {
                "name": DATASOURCE,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes redis-pulse.",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": _PANELS[kind], "version": ""} for kind in types),
        ],
        "id": None,
        "templating": {"list": variables},
    }
