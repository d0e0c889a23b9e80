"""Render what follows from the code: tables of docs, dashboards, rules. ``python -m tools.render [--check]``.

``rendered()`` returns everything as ``{path: text}``. ``tests/test_generated.py`` compares it with the committed files.
In hand-written pages, only the text between ``<!-- name -->`` and ``<!-- /name -->`` is rendered.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from grafana import build
from grafana.rules import files, page
from grafana.rules.settings import Settings
from redis_pulse import collectors, migrate
from redis_pulse.metric import PREFIX, MetricSpec
from redis_pulse.telemetry import exporter_metrics
from tools import acl, advice_pages, command_line, left_out, scaling, settings_reference
from tools.chart import add_prometheus_rule, values
from tools.compat import DIFFERENCES
from tools.recorded import is_recorded

ROOT = Path(__file__).parents[1]


def rendered() -> dict[Path, str]:
    """Return every rendered file with its text."""
    parts = {
        "deploy/helm/redis-pulse/README.md": ("values", _values()),
        "docs/acl.md": ("acl", acl.page(collectors.load()).rstrip("\n")),
        "docs/collectors.md": ("collectors", f"{_collectors()}\n{acl.default_set_part(collectors.load())}"),
        "docs/command-line.md": ("commands", command_line.part(_table)),
        "docs/configuration.md": ("settings", _settings()),
        "docs/metrics.md": ("metrics", _metrics()),
        "docs/compatibility.md": ("differences", _differences()),
        "docs/migrating-from-redis-exporter.md": ("flags", _flags()),
        "docs/alerts.md": ("alerts", _alerts()),
        "docs/scaling.md": ("cost", scaling.part()),
        "docs/troubleshooting.md": ("advice", advice_pages.troubleshooting_part()),
        **{path: ("advice", text) for path, text in advice_pages.runbook_parts().items()},
    }
    pages = {
        ROOT / name: _replace_part((ROOT / name).read_text(encoding="utf-8"), *part) for name, part in parts.items()
    }
    rules = {
        ROOT / (name if name.startswith("mixin/") else f"deploy/prometheus/{name}"): text
        for name, text in files.rendered(Settings()).items()
    }
    findings = {ROOT / path: text for path, text in advice_pages.pages().items()}
    return pages | findings | rules | {ROOT / path: text for path, text in build.build_all().items()}


def stale() -> dict[Path, str]:
    """Return the rendered files that are missing or outdated, with their new text."""
    return {
        path: text
        for path, text in add_prometheus_rule(rendered()).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the stale files, or only list them with ``--check``.

    Return the exit code. With ``--check`` it is 1 if a file is stale.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.render", description="Render docs and dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something is stale")
    check = parser.parse_args(arguments).check
    files = stale()
    for path, text in files.items():
        name = path.relative_to(ROOT)
        print(f"{name} is stale: run `make docs`" if check else f"wrote {name}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(files))


def _replace_part(text: str, name: str, body: str) -> str:
    """Replace the text between ``<!-- name -->`` and ``<!-- /name -->``.

    Raise ValueError if one of the two lines is missing.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, has_start, rest = text.partition(start)
    _, has_end, after = rest.partition(end)
    if not (has_start and has_end):
        raise ValueError(f"the lines {start.strip()} and {end.strip()} are missing")
    return f"{before}{start}\n{body}\n{end}{after}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _settings() -> str:
    rows = (
        [
            f"`{row.path}`",
            row.type,
            f"`{row.default}`" if row.default else "",
            _code([*row.environment, *([row.option] if row.option else [])]),
            row.description,
        ]
        for row in settings_reference.rows()
    )
    return _table(["setting", "type", "default", "environment, option", "meaning"], rows)


def _values() -> str:
    rows = ([f"`{value.path}`", f"`{value.default}`", value.description] for value in values())
    return _table(["value", "default", "meaning"], rows)


def _collectors() -> str:
    rows = (
        [
            f"`{name}`",
            "on" if collector.default else "off",
            _code(_command(command) for command in collector.commands),
            str(len({metric.full_name for metric in collector.metrics})),
            _description(collector),
        ]
        for name, collector in collectors.load().items()
    )
    return _table(["collector", "default", "sends", "metrics", "description"], rows)


#: Collectors whose metrics name the fields that a server writes. Those of others are often computed.
_WITH_FIELDS = ("info", "cluster", "commandstats", "key_sizes", "slot_stats")


def _metrics() -> str:
    parts = []
    for name, collector in collectors.load().items():
        parts.append(f"## Collector `{name}`\n\n{_description(collector)}\n")
        better = _better(collector.metrics)
        sections: dict[str, dict[str, MetricSpec]] = defaultdict(dict)
        for metric in collector.metrics:
            sections[metric.section].setdefault(metric.full_name, metric)
        for section, metrics in sections.items():
            rows = [
                _row(metric, better.get(metric.full_name), is_read_from_info=name in _WITH_FIELDS)
                for metric in metrics.values()
            ]
            parts.append(f"### {section}\n\n{_table(['metric', 'type', 'labels', 'field', 'meaning'], rows)}")
    left_out_rows = [[f"`{field}`", reason] for field, reason in left_out.LEFT_OUT.items()]
    parts.append(f"## Fields of INFO without a metric\n\n{_table(['field', 'why'], left_out_rows)}")
    # process_* and python_* come from prometheus_client and differ between systems.
    described = (family for family in exporter_metrics.describe_all() if family.name.startswith(PREFIX))
    exporter_rows = [[f"`{one.name}`", one.kind, _code(one.labels), one.help] for one in described]
    title = "## Metrics of the probes and of the exporter"
    return "\n".join([*parts, f"{title}\n\n{_table(['metric', 'type', 'labels', 'meaning'], exporter_rows)}"])


def _differences() -> str:
    return _table(["metric", "what differs, and why"], ([_code(names), reason] for names, _, reason in DIFFERENCES))


def _flags() -> str:
    rows = (
        [
            f"`-{row.name}`",
            f"`{row.variable}`" if row.variable else "",
            _code(row.settings) if row.settings else "none",
            row.remark,
        ]
        for row in migrate.FLAG_TABLE
    )
    return _table(["flag", "variable", "setting here", "remark"], rows)


def _alerts() -> str:
    rows = ([*row, advice_pages.codes_of(row[0][1:].partition("]")[0])] for row in page.rows(Settings()))
    return _table(["alert", "severity", "for", "when", "findings"], rows)


def _better(metrics: Iterable[MetricSpec]) -> dict[str, str]:
    """Return, for each metric with a better alternative, the name of the alternative.

    Both are read from the same field. A counter is better than a gauge. Seconds are better than milliseconds and
    microseconds.
    """
    by_field: dict[tuple[str, str, tuple[str, ...]], list[MetricSpec]] = defaultdict(list)
    for metric in metrics:
        by_field[metric.section, metric.field, metric.labels].append(metric)
    better: dict[str, str] = {}
    for alternatives in by_field.values():
        best = max(alternatives, key=_quality).full_name
        better |= {metric.full_name: best for metric in alternatives if metric.full_name != best}
    return better


def _quality(metric: MetricSpec) -> tuple[bool, bool, bool]:
    """Return the sort key of a metric among the metrics of one field."""
    is_si = not {"usec", "ms"} & set(metric.full_name.split("_"))
    return metric.kind == "counter", metric.full_name.endswith(("_total", "_seconds")), is_si


def _row(metric: MetricSpec, better: str | None, *, is_read_from_info: bool) -> list[str]:
    meaning = f"{metric.help} *Prefer* `{better}`." if better else metric.help
    if is_read_from_info and not is_recorded(metric.field):
        meaning += " †"
    return [f"`{metric.full_name}`", metric.kind, _code(metric.labels), f"`{metric.field}`", meaning]


def _command(name: str) -> str:
    return name.upper().replace("|", " ")


def _description(collector: collectors.Collector) -> str:
    """Return the first line of the docstring of the collector's module."""
    return (sys.modules[type(collector).__module__].__doc__ or "").partition("\n")[0].replace("``", "`")


if __name__ == "__main__":
    sys.exit(main())
