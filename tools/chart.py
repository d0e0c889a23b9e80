"""Derive two texts from files in deploy/: the table of the chart's values, and the operator's PrometheusRule.

``values()`` reads values.yaml line by line, because the descriptions of the table are comments. A line ``# -- …``
describes the key below it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
CHART = DEPLOY / "helm" / "redis-pulse"
#: The files of rules and alerts, in this order. A missing file is skipped.
RULES = ("recording.yaml", "alerts.yaml")


class Value(NamedTuple):
    """One row of the table: the path such as ``service.port``, the default as JSON, the description."""

    path: str
    default: str
    description: str


def values(text: str | None = None) -> Iterator[Value]:
    """Yield every described value of values.yaml, in the order of the file.

    Raise ValueError for a description without a key.
    """
    text = (CHART / "values.yaml").read_text(encoding="utf-8") if text is None else text
    defaults = yaml.safe_load(text)
    path: list[str] = []
    description = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.fullmatch(r"\s*# -- (.+)", line):
            description = match[1]
        elif match := re.match(r"( *)(\w+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if description:
                default: Any = defaults
                for key in path:
                    default = default[key]
                yield Value(".".join(path), json.dumps(default), description)
            description = ""
        elif description:
            raise ValueError(f"values.yaml:{number}: put a description right above its key")


def described_paths(text: str | None = None) -> set[str]:
    """Return the paths in the table."""
    return {value.path for value in values(text)}


def leaves(tree: Any, prefix: Sequence[str] = (), opaque: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the path of each leaf of ``tree``. A mapping with its path in ``opaque`` counts as a leaf."""
    path = ".".join(prefix)
    if isinstance(tree, dict) and tree and path not in opaque:
        for key, below in tree.items():
            yield from leaves(below, [*prefix, str(key)], opaque)
    else:
        yield path


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, which is easier to read."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def add_prometheus_rule(rendered: Mapping[Path, str]) -> dict[Path, str]:
    """Add deploy/operator/prometheusrule.yaml to rendered files, with their rules or those on disk."""
    return {**rendered, DEPLOY / "operator" / "prometheusrule.yaml": prometheus_rule(rendered)}


def prometheus_rule(rendered: Mapping[Path, str] | None = None) -> str:
    """Return the groups of deploy/prometheus as an object of the operator."""
    groups: list[dict[str, Any]] = []
    for name in RULES:
        path = DEPLOY / "prometheus" / name
        if (text := (rendered or {}).get(path)) is None and path.exists():
            text = path.read_text(encoding="utf-8")
        file_groups = yaml.safe_load(text)["groups"] if text else []
        # Rules and alerts have groups of the same name. Two files may have the same names, one object may not.
        groups += [group | {"name": f"{group['name']}-{path.stem}"} for group in file_groups]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "redis-pulse",
            "namespace": "redis-pulse",
            "labels": {"app.kubernetes.io/name": "redis-pulse"},
        },
        "spec": {"groups": groups},
    }
    head = "# Rendered from deploy/prometheus by `make docs`. A Prometheus takes it when its ruleSelector matches.\n"
    return head + yaml.dump(rule, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
