"""Render what follows from the code: tables of docs, dashboards, rules. ``python -m tools.render [--check]``.

``rendered()`` returns everything as ``{path: text}``; ``tests/test_generated.py`` compares it with what is committed.
In a page that a person writes, what stands between ``<!-- name -->`` and ``<!-- /name -->`` is rendered.
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
from tools import acl, settings_reference
from tools.chart import values, with_rule
from tools.compat import DIFFERENCES

ROOT = Path(__file__).parents[1]


def rendered() -> dict[Path, str]:
    """Return every rendered file with the text that it should have."""
    parts = {
        "deploy/helm/redis-pulse/README.md": ("values", _values()),
        "docs/acl.md": ("acl", acl.page(collectors.load()).rstrip("\n")),
        "README.md": ("collectors", f"{_collectors()}\n{acl.sentence(collectors.load())}"),
        "docs/configuration.md": ("settings", _settings()),
        "docs/metrics.md": ("metrics", _metrics()),
        "docs/compatibility.md": ("differences", _differences()),
        "docs/migrating-from-redis-exporter.md": ("flags", _flags()),
        "docs/alerts.md": ("alerts", _alerts()),
    }
    pages = {ROOT / name: _between((ROOT / name).read_text(encoding="utf-8"), *part) for name, part in parts.items()}
    rules = {ROOT / "deploy" / "prometheus" / name: text for name, text in files.rendered(Settings()).items()}
    return pages | rules | {ROOT / path: text for path, text in build.build_all().items()}


def stale() -> dict[Path, str]:
    """Return the rendered files that differ from what the code says now, with the text that they should have."""
    return {
        path: text
        for path, text in with_rule(rendered()).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what is stale, or with ``--check`` only name it; the exit code of a check is 1 when something is."""
    parser = argparse.ArgumentParser(prog="python -m tools.render", description="Render docs and dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something is stale")
    check = parser.parse_args(arguments).check
    found = stale()
    for path, text in found.items():
        name = path.relative_to(ROOT)
        print(f"{name} is stale: run `make docs`" if check else f"wrote {name}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(found))


def _between(text: str, name: str, body: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
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
    rows = ([f"`{value.path}`", f"`{value.default}`", value.about] for value in values())
    return _table(["value", "default", "meaning"], rows)


def _collectors() -> str:
    rows = (
        [
            f"`{name}`",
            "on" if collector.default else "off",
            _code(_command(command) for command in collector.commands),
            str(len({metric.full_name for metric in collector.metrics})),
            _about(collector),
        ]
        for name, collector in collectors.load().items()
    )
    return _table(["collector", "default", "sends", "metrics", "what"], rows)


def _metrics() -> str:
    parts = []
    for name, collector in collectors.load().items():
        parts.append(f"## Collector `{name}`\n\n{_about(collector)}\n")
        better = _better(collector.metrics)
        sections: dict[str, dict[str, MetricSpec]] = defaultdict(dict)
        for metric in collector.metrics:
            sections[metric.section].setdefault(metric.full_name, metric)
        for section, metrics in sections.items():
            rows = [_row(metric, better.get(metric.full_name)) for metric in metrics.values()]
            parts.append(f"### {section}\n\n{_table(['metric', 'type', 'labels', 'field', 'meaning'], rows)}")
    # process_* and python_* differ between systems, and are not ours to explain.
    described = (family for family in exporter_metrics.describe_all() if family.name.startswith(PREFIX))
    own = [[f"`{name}`", kind, _code(labels), text] for name, kind, labels, text in described]
    title = "## What a client feels, and what we do ourselves"
    return "\n".join([*parts, f"{title}\n\n{_table(['metric', 'type', 'labels', 'meaning'], own)}"])


def _differences() -> str:
    return _table(["metric", "what is other, and why"], ([_code(one.names), one.reason] for one in DIFFERENCES))


def _flags() -> str:
    rows = (
        [
            f"`-{row.flag}`",
            f"`{row.variable}`" if row.variable else "",
            _code(row.settings) if row.settings else "none",
            row.remark,
        ]
        for row in migrate.FLAG_TABLE
    )
    return _table(["flag", "variable", "here", "what to know"], rows)


def _alerts() -> str:
    return _table(["alert", "severity", "for", "when"], page.rows(Settings()))


def _better(metrics: Iterable[MetricSpec]) -> dict[str, str]:
    """Map an established name to the right one beside it.

    Both are read from the same field: a counter is better than a gauge, and seconds are better than parts of them.
    """
    same: dict[tuple[str, str, tuple[str, ...]], list[MetricSpec]] = defaultdict(list)
    for metric in metrics:
        same[metric.section, metric.field, metric.labels].append(metric)
    better: dict[str, str] = {}
    for rows in same.values():
        best = max(
            rows, key=lambda row: (row.kind == "counter", row.full_name.endswith(("_total", "_seconds")), _si(row))
        )
        better |= {row.full_name: best.full_name for row in rows if row.full_name != best.full_name}
    return better


def _si(metric: MetricSpec) -> bool:
    return not {"usec", "ms"} & set(metric.full_name.split("_"))


def _row(metric: MetricSpec, better: str | None) -> list[str]:
    meaning = f"{metric.help} *Prefer* `{better}`." if better else metric.help
    return [f"`{metric.full_name}`", metric.kind, _code(metric.labels), f"`{metric.field}`", meaning]


def _command(name: str) -> str:
    return name.upper().replace("|", " ")


def _about(collector: collectors.Collector) -> str:
    """Return the first line of the docstring of the collector's file."""
    return (sys.modules[type(collector).__module__].__doc__ or "").partition("\n")[0].replace("``", "`")


if __name__ == "__main__":
    sys.exit(main())
