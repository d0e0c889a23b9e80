"""Read a configuration file, YAML or TOML, into a layer that knows the line of every key."""

import re
import tomllib
from pathlib import Path as FilePath
from typing import Any

import yaml

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.layered_source import ConfigSource, SettingPath, format_path, resolve_paths
from redis_pulse.config.problems import ConfigError, Problem

_TAG = "tag:yaml.org,2002:"
#: Of a configuration: ten thousand targets have some megabytes.
MAX_BYTES = 50_000_000
_MAX_NODES = 200_000
_MAX_DEPTH = 50
_TOML_TABLE = re.compile(r"\s*(\[\[?)\s*([\w.\" -]+?)\s*\]\]?\s*(#.*)?")
_TOML_KEY = re.compile(r"\s*([\w.-]+)\s*=")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class _Loader(yaml.SafeLoader):
    """The safe loader, for which a date is text."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same in C, ten times as fast: a thousand targets are read again while the daemon runs."""


for _loader in (_Loader, _FastLoader):
    _loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TAG + "timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_file(path: FilePath, *, shown: str, data: bytes | None = None) -> ConfigSource:
    """Read a configuration file; raises ConfigError when it cannot be read or is not what its name says.

    ``shown`` is how messages call it: as the user wrote it. ``data`` is what is in it, when that was read already.
    """
    file = FilePath(shown)
    try:
        text = (read_regular_file(path, MAX_BYTES) if data is None else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise _refused(file, "does not exist", "see --config and REDIS_PULSE_CONFIG") from None
    except IsADirectoryError:
        raise _refused(file, "is a directory, not a file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _refused(file, "is not UTF-8 text", line=line) from None
    except (OSError, ValueError) as error:
        raise _refused(file, f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    found, lines = _toml(file, text) if file.suffix.lower() == ".toml" else _yaml(file, text)
    if found is None or found == {}:
        raise _refused(file, "is empty", "write at least one target: see docs/configuration.md")
    places = {path: f"{file}:{line}" for path, line in lines.items()} | {(): str(file)}
    return ConfigSource(resolve_paths(found, path.absolute().parent), places, with_path=True)


def nodes_of(text: str, file: FilePath) -> Any:
    """Return what a text of YAML holds, with the same care as a configuration; raises ValueError and YAMLError."""
    loader, node = _nodes(text)
    if node is None:
        return None
    walk = _Walk(file)
    walk.visit(node, (), frozenset())
    if walk.problems:
        raise ValueError(walk.problems[0].message)
    return loader.construct_document(node)


def _refused(file: FilePath, message: str, cure: str = "", *, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(f"{file}:{line}" if line else str(file), message, cure)])


def _yaml(file: FilePath, text: str) -> tuple[Any, dict[SettingPath, int]]:
    try:
        loader, node = _nodes(text)
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            return None, {}
        walk = _Walk(file)
        walk.visit(node, (), frozenset())
        if not isinstance(node, yaml.MappingNode):
            walk.complain(node, (), "must be a mapping from settings to values", "such as: targets: [{url: …}]")
        if walk.problems:
            raise ConfigError(walk.problems)
        return loader.construct_document(node), walk.lines
    except yaml.YAMLError as error:
        raise _yaml_error(file, error) from None
    except (ValueError, RecursionError):
        raise _refused(file, "holds a value that YAML cannot read, or nests too deep", "quote it") from None


def _nodes(text: str) -> tuple[Any, Any]:
    """Return a loader and the node of the document; what the fast one refuses, the other one explains."""
    try:
        _refuse_depths(text)
        loader = _FastLoader(text)
        return loader, loader.get_single_node()
    except yaml.YAMLError:
        explaining = _Loader(text)
        return explaining, explaining.get_single_node()


def _refuse_depths(text: str) -> None:
    """Raise RecursionError for nesting on which the C loader, which recurses, would crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise RecursionError


def _yaml_error(file: FilePath, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or "")
    cure = "quote a text that begins with a sign, put a space after each colon, and check brackets and indentation"
    if "\\t" in problem:
        cure = "YAML is indented with spaces, not with tabs"
    elif "another document" in problem:
        cure = "keep one document in the file"
    # What a message of YAML quotes may be a part of a password; only the names of its own tokens stay.
    problem = re.sub(r"'(?!<)[^']*'|\"[^\"]*\"", "…", problem)
    return _refused(file, f"is not valid YAML: {problem or 'unreadable character'}", cure, line=mark and mark.line + 1)


class _Walk:
    """Goes through the nodes of a document: notes lines, and complains about what YAML would swallow."""

    def __init__(self, file: FilePath) -> None:
        self.file = file
        self.lines: dict[SettingPath, int] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def complain(self, node: yaml.Node, path: SettingPath, message: str, cure: str = "") -> None:
        place = f"{self.file}:{node.start_mark.line + 1}" + (f": {format_path(path)}" if path else "")
        self.problems.append(Problem(place, message, cure))

    def visit(self, node: yaml.Node, path: SettingPath, above: frozenset[int]) -> None:
        self.nodes += 1
        if id(node) in above or self.nodes > _MAX_NODES:
            if not self.problems:
                self.complain(node, path, "has an alias that holds itself, or too many of them")
            return
        if not node.tag.startswith(_TAG) or node.tag[len(_TAG) :] in ("binary", "omap", "pairs", "set", "timestamp"):
            self.complain(node, path, "has a tag, which has no meaning here", "quote a text that begins with !")
            return
        above |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines.setdefault((*path, index), item.start_mark.line + 1)
                self.visit(item, (*path, index), above)
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, path, above)

    def _mapping(self, node: yaml.MappingNode, path: SettingPath, above: frozenset[int]) -> None:
        seen: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.tag != _TAG + "str":
                self.complain(key, path, "has a key that is not text", "quote it")
            elif key.value in seen:
                self.complain(key, (*path, key.value), "stands here a second time", f"see line {seen[key.value]}")
            else:
                seen[key.value] = line
                self.lines.setdefault((*path, key.value), line)
                self.visit(value, (*path, key.value), above)
        for other in merged:
            self.visit(other, path, above)


def _toml(file: FilePath, text: str) -> tuple[Any, dict[SettingPath, int]]:
    try:
        return tomllib.loads(text), _toml_lines(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        problem = re.sub(
            r"'[^']*'|\"[^\"]*\"", "…", _TOML_LINE.sub("", str(error)).removesuffix("(at end of document)")
        )
        raise _refused(
            file, f"is not valid TOML: {problem.strip().lower()}", "text stands in quotes", line=line
        ) from None
    except (ValueError, RecursionError):
        raise _refused(file, "holds a value that TOML cannot read") from None


def _toml_lines(text: str) -> dict[SettingPath, int]:
    """Find the line of each key; a key within a value of several lines is found at the line of the value's key."""
    lines: dict[SettingPath, int] = {}
    counts: dict[SettingPath, int] = {}
    table: SettingPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TOML_TABLE.fullmatch(line):
            table = ()
            for step in (part.strip(' "') for part in found[2].split(".")):
                table = (*table, step)
                if found[1] != "[[" or table != tuple(part.strip(' "') for part in found[2].split(".")):
                    table = (*table, counts[table]) if table in counts else table
            if found[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif found := _TOML_KEY.match(line):
            lines.setdefault((*table, *found[1].split(".")), number)
    return lines
