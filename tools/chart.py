"""What follows from files under deploy/: the table of the chart's values, and the PrometheusRule of the operator.

``values()`` reads values.yaml line by line, as a person does, because its comments are what the table says: a line
``# -- …`` describes the key below it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
CHART = DEPLOY / "helm" / "redis-pulse"
#: Rules and alerts, in this order; what is not there yet is left out.
RULES = ("recording.yaml", "alerts.yaml")


class Value(NamedTuple):
    """One row: ``service.port``, its default as JSON, what it is."""

    path: str
    default: str
    about: str


def values(text: str | None = None) -> Iterator[Value]:
    """Yield every described value of values.yaml, in its order. Raises ValueError for a description without a key."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8") if text is None else text
    everything = yaml.safe_load(text)
    path: list[str] = []
    about = ""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.fullmatch(r"\s*# -- (.+)", line):
            about = found[1]
        elif found := re.match(r"( *)(\w+):", line):
            path = [*path[: len(found[1]) // 2], found[2]]
            if about:
                default: Any = everything
                for key in path:
                    default = default[key]
                yield Value(".".join(path), json.dumps(default), about)
            about = ""
        elif about:
            raise ValueError(f"values.yaml:{number}: a description must stand right above its key")


def described(text: str | None = None) -> set[str]:
    """Return the paths that the table has."""
    return {value.path for value in values(text)}


def leaves(tree: Any, under: Sequence[str] = (), stop: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the path of everything in ``tree`` that holds no further keys, or whose path is in ``stop``."""
    path = ".".join(under)
    if isinstance(tree, dict) and tree and path not in stop:
        for key, below in tree.items():
            yield from leaves(below, [*under, str(key)], stop)
    else:
        yield path


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, as a person would."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def with_rule(rendered: Mapping[Path, str]) -> dict[Path, str]:
    """Add deploy/operator/prometheusrule.yaml to rendered files, made from the rules among them or those on disk."""
    return {**rendered, DEPLOY / "operator" / "prometheusrule.yaml": prometheus_rule(rendered)}


def prometheus_rule(rendered: Mapping[Path, str] | None = None) -> str:
    """Return the groups of deploy/prometheus as the operator wants them."""
    groups: list[dict[str, Any]] = []
    for name in RULES:
        path = DEPLOY / "prometheus" / name
        if (text := (rendered or {}).get(path)) is None and path.exists():
            text = path.read_text(encoding="utf-8")
        found = yaml.safe_load(text)["groups"] if text else []
        # Rules and alerts have groups of one name, which may be in two files and not in one object.
        groups += [group | {"name": f"{group['name']}-{path.stem}"} for group in found]
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
