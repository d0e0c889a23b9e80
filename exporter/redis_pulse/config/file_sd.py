"""Lists of targets in the form of Prometheus' file_sd and http_sd: ``[{targets: [host:port], labels: {team: web}}]``.

Of the labels that begin with ``__`` two mean something: ``__module`` names the module to watch the targets with, and
``__name`` is the name of the target, when the group has one. Others, such as ``__meta_…``, are for Prometheus.
"""

import json
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import yaml

from redis_pulse.config.file_reader import nodes_of


class TargetGroup(NamedTuple):
    """Targets as they are written, and their labels."""

    targets: tuple[str, ...]
    labels: dict[str, str]


def read_groups(text: str, *, is_yaml: bool) -> list[TargetGroup]:
    """Read a list of groups.

    Raises ValueError, with a message that repeats nothing of the text but line numbers, when it is no such list.
    """
    data = _yaml(text) if is_yaml else _json(text)
    if not isinstance(data, list):
        raise ValueError("must be a list of groups such as [{targets: [host:port]}]")  # noqa: TRY004
    return [_group(number, item) for number, item in enumerate(data)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON, at line {error.lineno}") from None
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None


def _yaml(text: str) -> Any:
    try:
        return nodes_of(text, FilePath("targets"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("is not valid YAML" + (f", at line {mark.line + 1}" if mark else "")) from None
    except (ValueError, RecursionError):
        raise ValueError("holds a value that YAML cannot read, or nests too deep") from None


def _group(number: int, item: Any) -> TargetGroup:
    if not isinstance(item, dict) or not set(item) <= {"targets", "labels", "source"}:
        raise ValueError(f"[{number}] must be a mapping with targets and, if need be, labels")
    targets, labels = item.get("targets"), item.get("labels") or {}
    if not isinstance(targets, list) or not all(isinstance(one, str) for one in targets):
        raise ValueError(f"[{number}].targets must be a list of texts such as host:port")
    if not isinstance(labels, dict) or not all(isinstance(one, str) for pair in labels.items() for one in pair):
        raise ValueError(f"[{number}].labels must be a mapping from names to texts: put numbers in quotes")
    return TargetGroup(tuple(targets), labels)
