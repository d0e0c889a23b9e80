"""Read a configuration file, YAML or TOML, into a ``ConfigSource`` that has the line of every key."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.layered_source import ConfigSource, SettingPath, format_path, resolve_paths
from redis_pulse.config.problems import ConfigError, Problem

_TAG = "tag:yaml.org,2002:"
#: Maximum size of a configuration file. Ten thousand targets take a few megabytes.
MAX_BYTES = 50_000_000
_MAX_NODES = 200_000
_MAX_DEPTH = 50
_TOML_TABLE = re.compile(r"\s*(\[\[?)\s*([\w.\" -]+?)\s*\]\]?\s*(#.*)?")
_TOML_KEY = re.compile(r"\s*([\w.-]+)\s*=")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class _Loader(yaml.SafeLoader):
    """The safe loader. It reads a date as text."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same loader in C, ten times as fast: a reload reads thousands of targets while the daemon runs."""


for _loader in (_Loader, _FastLoader):
    _loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TAG + "timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_file(path: Path, *, shown: str, data: bytes | None = None) -> ConfigSource:
    """Return what a configuration file sets. Raises ConfigError if it cannot be read or parsed.

    ``shown`` is its name in messages, as the user wrote it. ``data`` is its content, if that was read already.
    """
    file = Path(shown)
    try:
        text = (read_regular_file(path, MAX_BYTES) if data is None else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise _file_error(file, "does not exist", "see --config and REDIS_PULSE_CONFIG") from None
    except IsADirectoryError:
        raise _file_error(file, "is a directory, not a file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _file_error(file, "is not UTF-8 text", line=line) from None
    except (OSError, ValueError) as error:
        raise _file_error(file, f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    settings, lines = _read_toml(file, text) if file.suffix.lower() == ".toml" else _read_yaml(file, text)
    if settings is None or settings == {}:
        raise _file_error(file, "is empty", "write at least one target: see docs/configuration.md")
    locations = {path: f"{file}:{line}" for path, line in lines.items()} | {(): str(file)}
    return ConfigSource(resolve_paths(settings, path.absolute().parent), locations, with_path=True)


def parse_yaml(text: str, file: Path) -> Any:
    """Return the content of a YAML text, checked like a configuration file. Raises ValueError or YAMLError."""
    loader, node = _compose(text)
    if node is None:
        return None
    checker = _NodeChecker(file)
    checker.visit(node, (), frozenset())
    if checker.problems:
        raise ValueError(checker.problems[0].message)
    return loader.construct_document(node)


def _file_error(file: Path, message: str, hint: str = "", *, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(f"{file}:{line}" if line else str(file), message, hint)])


def _read_yaml(file: Path, text: str) -> tuple[Any, dict[SettingPath, int]]:
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
        raise _file_error(
            file, "holds a value that YAML cannot read, or is nested too deeply", "quote the value"
        ) from None


def _compose(text: str) -> tuple[Any, Any]:
    """Return a loader and the node of the document. If the fast loader fails, the other one gives a better error."""
    try:
        _check_depth(text)
        fast_loader = _FastLoader(text)
        return fast_loader, fast_loader.get_single_node()
    except yaml.YAMLError:
        loader = _Loader(text)
        return loader, loader.get_single_node()


def _check_depth(text: str) -> None:
    """Raise RecursionError for deep nesting. The C loader recurses, and would crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
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
    return _file_error(
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


def _read_toml(file: Path, text: str) -> tuple[Any, dict[SettingPath, int]]:
    try:
        return tomllib.loads(text), _toml_lines(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_LINE.search(str(error))
        line = int(match[1]) if match else text.count("\n") + 1
        problem = re.sub(
            r"'[^']*'|\"[^\"]*\"", "…", _TOML_LINE.sub("", str(error)).removesuffix("(at end of document)")
        )
        raise _file_error(
            file, f"is not valid TOML: {problem.strip().lower()}", "put text in quotes", line=line
        ) from None
    except (ValueError, RecursionError):
        raise _file_error(file, "holds a value that TOML cannot read") from None


def _toml_lines(text: str) -> dict[SettingPath, int]:
    """Return the line of each key. A key inside a value of several lines has the line of the value."""
    lines: dict[SettingPath, int] = {}
    table_indexes: dict[SettingPath, int] = {}
    table: SettingPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TOML_TABLE.fullmatch(line):
            table = _toml_table(match[2], table_indexes, is_array=match[1] == "[[")
            lines.setdefault(table, number)
        elif match := _TOML_KEY.match(line):
            lines.setdefault((*table, *match[1].split(".")), number)
    return lines


def _toml_table(header: str, table_indexes: dict[SettingPath, int], *, is_array: bool) -> SettingPath:
    """Return the path of a table.

    ``[[targets]]`` begins the next element of an array. ``[targets.tls]`` is in the last element.

    ``table_indexes`` has the last index of each array of tables, and is updated.
    """
    keys = tuple(key.strip(' "') for key in header.split("."))
    table: SettingPath = ()
    for position, key in enumerate(keys, 1):
        table = (*table, key)
        if is_array and position == len(keys):
            table_indexes[table] = table_indexes.get(table, -1) + 1
        if table in table_indexes:
            table = (*table, table_indexes[table])
    return table
