"""Read YAML: the loaders, the checks of a document, and the line of every key."""

import re
from pathlib import Path
from typing import Any

import yaml

from redis_pulse.config.file_reader import file_error
from redis_pulse.config.layered_source import SettingPath, format_path
from redis_pulse.config.problems import ConfigError, Problem

_TAG = "tag:yaml.org,2002:"
_MAX_NODES = 200_000
_MAX_DEPTH = 50


class _Loader(yaml.SafeLoader):
    """The safe loader. It reads a date as text."""


class FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same loader in C, ten times as fast: a reload reads thousands of targets while the daemon runs."""


for _loader in (_Loader, FastLoader):
    _loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TAG + "timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(file: Path, text: str) -> tuple[Any, dict[SettingPath, int]]:
    """Return the content of a YAML file, and the line of each key. Raises ConfigError."""
    try:
        loader, node = _compose(text)
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            return None, {}
        checker = _NodeChecker(file)
        checker.visit(node, (), frozenset())
        if not isinstance(node, yaml.MappingNode):
            message = "must be a mapping from settings to values"
            checker.add_problem(node, (), message, "such as: targets: [{url: …}]")
        if checker.problems:
            raise ConfigError(checker.problems)
        return loader.construct_document(node), checker.lines
    except yaml.YAMLError as error:
        raise _yaml_error(file, error) from None
    except (ValueError, RecursionError):
        raise file_error(
            file, "holds a value that YAML cannot read, or is nested too deeply", "quote the value"
        ) from None


def _compose(text: str) -> tuple[Any, Any]:
    """Return a loader and the node of the document. If the fast loader fails, the other one gives a better error."""
    try:
        _check_depth(text)
        fast_loader = FastLoader(text)
        return fast_loader, fast_loader.get_single_node()
    except yaml.YAMLError:
        loader = _Loader(text)
        return loader, loader.get_single_node()


def _check_depth(text: str) -> None:
    """Raise RecursionError for deep nesting. The C loader recurses, and would crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=FastLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise RecursionError


def _yaml_error(file: Path, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or "")
    hint = (
        "quote text that begins with a special character, put a space after each colon, check brackets and indentation"
    )
    if "\\t" in problem:
        hint = "YAML is indented with spaces, not with tabs"
    elif "another document" in problem:
        hint = "keep one document in the file"
    # A quoted part of the message may be a part of a password. Keep only the names of tokens: '<block end>'.
    problem = re.sub(r"'(?!<)[^']*'|\"[^\"]*\"", "…", problem)
    return file_error(
        file, f"is not valid YAML: {problem or 'unreadable character'}", hint, line=mark and mark.line + 1
    )


class _NodeChecker:
    """Visits the nodes of a document. Collects the line of each key, and problems that YAML does not report."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[SettingPath, int] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def add_problem(self, node: yaml.Node, path: SettingPath, message: str, hint: str = "") -> None:
        location = f"{self.file}:{node.start_mark.line + 1}" + (f": {format_path(path)}" if path else "")
        self.problems.append(Problem(location, message, hint))

    def visit(self, node: yaml.Node, path: SettingPath, parents: frozenset[int]) -> None:
        """Visit a node and all nodes below it. ``parents`` are the ids of the nodes above it."""
        self.nodes += 1
        if id(node) in parents or self.nodes > _MAX_NODES:
            if not self.problems:
                self.add_problem(node, path, "has an alias that contains itself, or too many aliases")
            return
        if not node.tag.startswith(_TAG) or node.tag[len(_TAG) :] in ("binary", "omap", "pairs", "set", "timestamp"):
            self.add_problem(node, path, "has a tag, which has no meaning here", "quote text that begins with !")
            return
        parents |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines.setdefault((*path, index), item.start_mark.line + 1)
                self.visit(item, (*path, index), parents)
        elif isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, path, parents)

    def _visit_mapping(self, node: yaml.MappingNode, path: SettingPath, parents: frozenset[int]) -> None:
        seen_at: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.tag != _TAG + "str":
                self.add_problem(key, path, "has a key that is not text", "quote it")
            elif key.value in seen_at:
                self.add_problem(key, (*path, key.value), "is set a second time", f"see line {seen_at[key.value]}")
            else:
                seen_at[key.value] = line
                self.lines.setdefault((*path, key.value), line)
                self.visit(value, (*path, key.value), parents)
        for merged_node in merged:
            self.visit(merged_node, path, parents)
