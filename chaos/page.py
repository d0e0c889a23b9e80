"""A reader of the Prometheus text format: samples, types, and what stands there twice or cannot be read."""

import re
from collections import defaultdict
from collections.abc import Iterator

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]

_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
_ESCAPED = re.compile(r"\\(.)")


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text


class Page:
    """One page; ``asked`` and ``answered`` are monotonic times around the request."""

    def __init__(self, text: str, asked: float = 0.0, answered: float = 0.0) -> None:
        self.text, self.asked, self.answered = text, asked, answered
        self.samples: dict[Series, float] = {}
        self.types: dict[str, str] = {}
        self.twice: list[str] = []
        self.unreadable: list[str] = []
        self._by_name: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._take(line)

    def _take(self, line: str) -> None:
        found = _LINE.match(line)
        labels = _LABEL.findall(found[2] or "") if found else []
        if found is None or "".join(f'{name}="{value}",' for name, value in labels) != _ended(found[2]):
            self.unreadable.append(line)
            return
        try:
            value = float(found[3])
        except ValueError:
            self.unreadable.append(line)
            return
        plain = {name: _plain(text) for name, text in labels}
        series = (found[1], tuple(sorted(plain.items())))
        if series in self.samples:
            self.twice.append(line)
        self.samples[series] = value
        self._by_name[found[1]].append((plain, value))

    def matching(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Yield labels and value of every sample of that name with these labels (and maybe more)."""
        for have, value in self._by_name.get(name, ()):
            if labels.items() <= have.items():
                yield have, value

    def value(self, name: str, **labels: str) -> float | None:
        """Return the first such sample, None when there is none."""
        return next((value for _, value in self.matching(name, **labels)), None)

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all such samples."""
        return sum(value for _, value in self.matching(name, **labels))

    def kind(self, name: str) -> str:
        """Return the type of a sample's family; that of the histogram for its parts."""
        for suffix in ("_bucket", "_count", "_sum"):
            family = name.removesuffix(suffix)
            if family != name and self.types.get(family) in {"histogram", "summary"}:
                return self.types[family]
        return self.types.get(name, self.types.get(name.removesuffix("_total"), "untyped"))

    def targets(self) -> set[str]:
        """Return the names of all targets that any series bears."""
        return {value for _, labels in self.samples for name, value in labels if name == "target"}


def _ended(labels: str | None) -> str:
    return f"{labels}," if labels and not labels.endswith(",") else labels or ""
