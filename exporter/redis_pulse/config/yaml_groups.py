"""Read a YAML list of targets (``file_sd``), event by event."""

from collections.abc import Iterator
from typing import Any

import yaml

from redis_pulse.config.file_sd import EntryBudget
from redis_pulse.config.yaml_reader import FastLoader

#: Limits for a YAML document.
_MAX_DEPTH, _MAX_VALUES = 20, 500_000
#: A date is text too.
_TEXT_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp")


def parse_yaml_groups(text: str) -> Any:
    """Return the document of a list of targets. Raises ValueError, whose message repeats nothing of the text."""
    try:
        return _YamlReader(text).read()
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        raise ValueError("is not valid YAML" + (f", at line {mark.line + 1}" if mark else "")) from None


class _YamlReader:
    """Reads a YAML document into lists, mappings and texts. Any other value becomes None.

    It takes one event after the other from the scanner in C. The loaders of PyYAML build a tree of nodes first, which
    takes ten times the memory. Their tree in C does not release the interpreter before its end. So a thread would stop
    the event loop meanwhile.
    """

    def __init__(self, text: str) -> None:
        self._resolver: Any = yaml.resolver.Resolver()
        self._events: Iterator[Any] = yaml.parse(text, Loader=FastLoader)
        self._anchors: dict[str, Any] = {}
        self._values = 0
        self._budget = EntryBudget()

    def read(self) -> Any:
        """Return the document, or None without one. Raises ValueError or YAMLError."""
        document, count = None, 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                document, count = self._value(next(self._events), 0), count + 1
        if count > 1:
            raise ValueError("is not valid YAML: it has a second document")
        return document

    def _value(self, event: Any, depth: int) -> Any:
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise ValueError(f"is nested too deeply, or has more than {_MAX_VALUES} values")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"has an alias without a value, at line {self._line_of(event)}")
            return self._anchors[event.anchor]
        if event.tag not in (None, "!"):
            raise ValueError(f"is not valid YAML, at line {self._line_of(event)}: tags have no meaning here")
        if isinstance(event, yaml.SequenceStartEvent):
            value: Any = self._list(depth)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(depth)
        else:
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
            value = event.value if tag in _TEXT_TAGS else None
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _list(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._budget.kept(self._value(event, depth + 1)))
        return items

    def _mapping(self, depth: int) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = self._value(event, depth + 1)
            value = self._value(next(self._events), depth + 1)
            if is_merge:
                for one in value if isinstance(value, list) else [value]:
                    merged = (one if isinstance(one, dict) else {}) | merged
            elif not isinstance(key, str) or key in mapping:
                line = self._line_of(event)
                raise ValueError(f"has a key that is set twice or is not text, at line {line}")
            else:
                mapping[key] = value
        return merged | mapping

    @staticmethod
    def _line_of(event: Any) -> int:
        line: int = event.start_mark.line
        return line + 1
