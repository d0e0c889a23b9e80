"""Collect every name that users may rely on, for ``make compat-check`` (docs/versioning.md)."""

from typing import Any

import yaml

from redis_pulse import __version__, asset_files, calibrate, cli, collectors, doctor, keyspace_terminal
from redis_pulse.advice import TABLE
from redis_pulse.completion import options_of
from redis_pulse.metric import PREFIX
from redis_pulse.telemetry import exporter_metrics
from redis_pulse.web.access_policy import POLICIES
from tools import settings_reference
from tools.chart import DEPLOY, RULES, values

#: What one kind of names maps to: a mapping from each name to its properties.
Names = dict[str, dict[str, Any]]


def collect() -> dict[str, Any]:
    """Return the names of the current tree by their kind, ready to be written as JSON."""
    return {
        "version": __version__,
        "metrics": _metrics(),
        "settings": _settings(),
        "variables": {name: {} for row in settings_reference.rows() for name in row.environment},
        "collectors": {
            name: {"default": "on" if one.default else "off"} for name, one in sorted(collectors.load().items())
        },
        "commands": {name: {} for name in cli.COMMANDS},
        "flags": _flags(),
        "pages": {path: {} for path in sorted(POLICIES)},
        "alerts": _rules("alert"),
        "recording rules": _rules("record"),
        "finding codes": {row.code: {} for row in TABLE},
        "chart values": {value.path: {"default": value.default} for value in values()},
    }


def _metrics() -> Names:
    """Return type and labels of each metric. Those of Python and of the process differ between systems."""
    found: Names = {}
    for collector in collectors.load().values():
        for metric in collector.metrics:
            found[metric.full_name] = {"type": metric.kind, "labels": sorted({"target", *metric.labels})}
    for family in exporter_metrics.describe_all():
        if family.name.startswith(PREFIX):
            found[family.name] = {"type": family.kind, "labels": sorted(family.labels)}
    return dict(sorted(found.items()))


def _settings() -> Names:
    """Return the settings of docs/configuration.md, and the options of each collector."""
    found: Names = {row.path: {"type": row.type, "default": row.default} for row in settings_reference.rows()}
    for name, collector in sorted(collectors.load().items()):
        for option, field in collector.options.model_fields.items():
            default = "" if field.is_required() else str(field.get_default(call_default_factory=True))
            found[f"collectors.{name}.{option}"] = {"type": "option", "default": default}
    return found


def _flags() -> Names:
    """Return the options of the daemon, and those of the commands that have own ones, as ``doctor --json``."""
    found: Names = {option.flag: {"takes": option.takes} for option in options_of(cli._parser())}  # noqa: SLF001
    own = {"doctor": doctor, "keyspace": keyspace_terminal, "calibrate": calibrate, "assets": asset_files}
    for command, package in own.items():
        found |= {f"{command} {option.flag}": {"takes": option.takes} for option in options_of(package.parser())}
    return found


def _rules(kind: str) -> Names:
    """Return the names of the shipped alerts (``alert``) or recording rules (``record``)."""
    groups = [
        group
        for name in RULES
        for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text(encoding="utf-8"))["groups"]
    ]
    return {name: {} for name in sorted({rule[kind] for group in groups for rule in group["rules"] if kind in rule})}
