"""Lists of targets in the format of Prometheus' file_sd and http_sd: ``[{targets: [host:port], labels: {team: web}}]``.

Two labels that begin with ``__`` have a meaning. ``__module`` names the module of the targets. ``__name`` is the name
of the target, if the group has only one. Others, such as ``__meta_…``, are for Prometheus.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from redis_pulse.config.file_reader import parse_yaml


class TargetGroup(NamedTuple):
    """Targets as the list writes them, and their labels."""

    targets: tuple[str, ...]
    labels: dict[str, str]


def read_groups(text: str, *, is_yaml: bool) -> list[TargetGroup]:
    """Return the groups of a list.

    Raises ValueError for anything else. The message repeats nothing of the text; it may have a line number.
    """
    data = _parse_yaml(text) if is_yaml else _parse_json(text)
    if not isinstance(data, list):
        raise ValueError("must be a list of groups such as [{targets: [host:port]}]")  # noqa: TRY004
    return [_parse_group(index, item) for index, item in enumerate(data)]


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON, at line {error.lineno}") from None
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None


def _parse_yaml(text: str) -> Any:
    try:
        return parse_yaml(text, Path("targets"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("is not valid YAML" + (f", at line {mark.line + 1}" if mark else "")) from None
    except (ValueError, RecursionError):
        raise ValueError("holds a value that YAML cannot read, or is nested too deeply") from None


def _parse_group(index: int, item: Any) -> TargetGroup:
    if not isinstance(item, dict) or not set(item) <= {"targets", "labels", "source"}:
        raise ValueError(f"[{index}] must be a mapping with targets and optional labels")
    targets, labels = item.get("targets"), item.get("labels") or {}
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise ValueError(f"[{index}].targets must be a list of texts such as host:port")
    if not isinstance(labels, dict) or not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise ValueError(f"[{index}].labels must be a mapping from names to texts: put numbers in quotes")
    return TargetGroup(tuple(targets), labels)
