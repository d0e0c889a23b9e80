"""Parses the Prometheus text format: samples, types, duplicate series, and lines that are malformed."""

import re
from collections import defaultdict
from collections.abc import Iterator

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]

_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
_ESCAPED = re.compile(r"\\(.)")


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text) if "\\" in text else text


class Page:
    """One page. ``requested_at`` and ``received_at`` are monotonic times before and after the request."""

    def __init__(self, text: str, requested_at: float = 0.0, received_at: float = 0.0) -> None:
        self.text, self.requested_at, self.received_at = text, requested_at, received_at
        self.samples: dict[Series, float] = {}
        self.types: dict[str, str] = {}
        self.duplicates: list[str] = []
        self.unreadable: list[str] = []
        self._by_name: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._add_sample(line)

    def _add_sample(self, line: str) -> None:
        match = _LINE.match(line)
        labels = _LABEL.findall(match[2] or "") if match else []
        if match is None or "".join(f'{name}="{value}",' for name, value in labels) != _with_comma(match[2]):
            self.unreadable.append(line)
            return
        try:
            value = float(match[3])
        except ValueError:
            self.unreadable.append(line)
            return
        unescaped = {name: _unescape(text) for name, text in labels}
        series = (match[1], tuple(sorted(unescaped.items())))
        if series in self.samples:
            self.duplicates.append(line)
        self.samples[series] = value
        self._by_name[match[1]].append((unescaped, value))

    def matching(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Yield labels and value of every sample with this name and these labels. It may have more labels."""
        for all_labels, value in self._by_name.get(name, ()):
            if labels.items() <= all_labels.items():
                yield all_labels, value

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the first matching sample, or None if no sample matches."""
        return next((value for _, value in self.matching(name, **labels)), None)

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all matching samples."""
        return sum(value for _, value in self.matching(name, **labels))

    def kind(self, name: str) -> str:
        """Return the type of the family of a sample. The samples of a histogram have the type of the histogram."""
        for suffix in ("_bucket", "_count", "_sum"):
            family = name.removesuffix(suffix)
            if family != name and self.types.get(family) in {"histogram", "summary"}:
                return self.types[family]
        return self.types.get(name, self.types.get(name.removesuffix("_total"), "untyped"))

    def targets(self) -> set[str]:
        """Return every value of the label ``target``."""
        return {value for _, labels in self.samples for name, value in labels if name == "target"}


def _with_comma(labels: str | None) -> str:
    return f"{labels}," if labels and not labels.endswith(",") else labels or ""
