"""The instruments of one target: held children, whose lines are rendered when they have changed and not before.

A target has some 200 series of ours, nearly all of them zeros that never move; rendering them at every scrape would
cost more than everything else on the page.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from prometheus_client import Counter, Gauge, Histogram

from exporter.breaker import STATES, State
from exporter.errors import REASONS
from exporter.instruments import families
from exporter.instruments.families import Family
from exporter.lines import escape, number

_KINDS: dict[str, type[Counter | Gauge]] = {"counter": Counter, "gauge": Gauge}
#: The changes of state that there are.
_TRANSITIONS = (*pairwise(("closed", "open", "half_open", "closed")), ("half_open", "open"))


class Parents:
    """The labelled metrics that all targets share; histograms by their buckets."""

    def __init__(self) -> None:
        self._plain: dict[Family, Counter | Gauge] = {
            family: _KINDS[family.kind](family.name, family.help, family.labels, registry=None)
            for family in families.OF_TARGETS
            if family.kind in _KINDS
        }
        self._histograms: dict[tuple[float, ...], Histogram] = {}

    def of(self, family: Family, buckets: tuple[float, ...]) -> Counter | Gauge | Histogram:
        """Return the metric of a family."""
        if family.kind != "histogram":
            return self._plain[family]
        if (known := self._histograms.get(buckets)) is None:
            known = Histogram(family.name, family.help, family.labels, buckets=buckets, registry=None)
            self._histograms[buckets] = known
        return known


class _Group:
    """The cells of one family of one target, and their lines as long as none has changed."""

    __slots__ = ("cells", "lines")

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.lines: bytes | None = None

    def render(self) -> bytes:
        if self.lines is None:
            self.lines = b"".join([cell.render() for cell in self.cells])
        return self.lines


class Cell:
    """One child of a metric, and its lines as long as it has not changed."""

    __slots__ = ("_child", "_group", "_labels", "_lines", "_name")

    def __init__(
        self, group: _Group, family: Family, child: Counter | Gauge | Histogram, values: tuple[str, ...]
    ) -> None:
        self._group = group
        self._child = child
        self._name = family.name.removesuffix("_total")
        self._labels = ",".join([f'{key}="{escape(value)}"' for key, value in zip(family.labels, values, strict=True)])
        self._lines: bytes | None = None

    def inc(self, amount: float = 1) -> None:
        """Add to a counter."""
        self._child.inc(amount)  # type: ignore[union-attr]
        self._lines = self._group.lines = None

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._child.set(value)  # type: ignore[union-attr]
        self._lines = self._group.lines = None

    def observe(self, value: float) -> None:
        """Add to a histogram."""
        self._child.observe(value)  # type: ignore[union-attr]
        self._lines = self._group.lines = None

    def render(self) -> bytes:
        """Return the lines of this child; without creation times, which would double the page."""
        if self._lines is None:
            (family,) = self._child.collect()
            self._lines = "".join(
                [
                    f"{sample.name}{{{self._labels}{_edge(sample.labels)}}} {number(sample.value)}\n"
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                ]
            ).encode()
        return self._lines


def _edge(labels: Mapping[str, str]) -> str:
    return f',le="{labels["le"]}"' if labels else ""


class Operation:
    """The slots of one operation on one target: every slot counts once, and each has one outcome."""

    __slots__ = ("_duration", "_failures", "retries", "total")

    def __init__(self, target: "TargetInstruments", name: str) -> None:
        self.total = target.cell(families.OPERATIONS, name)
        self.retries = target.cell(families.RETRIES, name)
        self._duration = target.cell(families.DURATION, name)
        self._failures = {reason: target.cell(families.FAILURES, name, reason) for reason in REASONS}

    def succeeded(self, seconds: float) -> None:
        """Book a success that took ``seconds``."""
        self._duration.observe(seconds)

    def failed(self, reason: str, waited: float | None = None, count: int = 1) -> None:
        """Book ``count`` failures; ``waited`` is the deadline in seconds when the reason is ``timeout``."""
        self._failures[reason].inc(count)
        if waited is not None:
            self._duration.observe(waited)


class TargetInstruments:
    """Everything that we count and time of one target; made with every reason at 0."""

    def __init__(
        self,
        parents: Parents,
        name: str,
        buckets: tuple[float, ...],
        info: Mapping[str, str],
        operations: Iterable[str],
    ) -> None:
        self._parents = parents
        self._name = name
        self._buckets = buckets
        self._groups: dict[Family, _Group] = {}
        self._children: dict[tuple[Family, tuple[str, ...]], Cell] = {}
        self._operations: dict[str, Operation] = {}
        labels = "".join([f',{key}="{escape(value)}"' for key, value in info.items()])
        self._own = f'target="{escape(name)}"'
        self._info = f"{families.TARGET_INFO.name}{{{self._own}{labels}}} 1\n".encode()
        #: seconds that the breaker was not closed; whoever makes the breaker says how to know
        self.open_seconds: Callable[[], float] = float
        self.up = self.cell(families.UP)
        self.late_replies = self.cell(families.LATE_REPLIES)
        self.late_seconds = self.cell(families.LATE_SECONDS)
        for state in STATES:
            self.cell(families.BREAKER_STATE, state).set(state == "closed")
        for old, new in _TRANSITIONS:
            self.cell(families.BREAKER_TRANSITIONS, old, new)
        for operation in operations:
            self.operation(operation)

    def cell(self, family: Family, *labels: str) -> Cell:
        """Return a child of a family, by its labels after ``target``; hold it where it is used often."""
        if (known := self._children.get((family, labels))) is None:
            group = self._groups.setdefault(family, _Group())
            values = (self._name, *labels)
            child = self._parents.of(family, self._buckets).labels(*values)
            known = self._children[family, labels] = Cell(group, family, child, values)
            group.cells.append(known)
            group.lines = None
        return known

    def operation(self, name: str) -> Operation:
        """Return the held children of one operation."""
        if (known := self._operations.get(name)) is None:
            known = self._operations[name] = Operation(self, name)
        return known

    def breaker_changed(self, old: State, new: State) -> None:
        """Book a change of the circuit breaker."""
        for state in STATES:
            self.cell(families.BREAKER_STATE, state).set(state == new)
        self.cell(families.BREAKER_TRANSITIONS, old, new).inc()

    def collector_ran(
        self, name: str, *, success: bool, supported: bool, seconds: float, unreadable: int = 0, overflow: int = 0
    ) -> None:
        """Book one run of a collector."""
        self.cell(families.SUCCESS, name).set(success)
        self.cell(families.SUPPORTED, name).set(supported)
        self.cell(families.COLLECTOR_SECONDS, name).set(seconds)
        self.cell(families.UNREADABLE, name).inc(unreadable)
        self.cell(families.OVERFLOW, name).inc(overflow)

    def render(self) -> dict[Family, bytes]:
        """Return the lines of every family of this target."""
        lines = {family: group.render() for family, group in self._groups.items()}
        lines[families.TARGET_INFO] = self._info
        name = families.BREAKER_OPEN.name
        lines[families.BREAKER_OPEN] = f"{name}{{{self._own}}} {number(self.open_seconds())}\n".encode()
        return lines

    def forget(self) -> None:
        """Drop every child of this target."""
        for family, labels in self._children:
            self._parents.of(family, self._buckets).remove(self._name, *labels)
