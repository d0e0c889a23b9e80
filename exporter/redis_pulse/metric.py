"""Metric definitions, samples and unit conversions. Each metric is defined by one line, which spells its name once.

    gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server."),
    counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired."),
    gauge("Stats", "latest_fork_usec", "latest_fork_seconds", "Duration of the latest fork.", usec),

A malformed definition is refused when it is created (at import), not when the metric is scraped.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import Literal, NamedTuple

Kind = Literal["gauge", "counter", "histogram", "gaugehistogram", "summary"]
KINDS: tuple[Kind, ...] = ("gauge", "counter", "histogram", "gaugehistogram", "summary")
Convert = Callable[[str], float | None]

PREFIX = "redis_"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)  # float() also takes nan, 1_0 and ٣
_RESERVED_LABELS = frozenset({"target", "job", "instance", "le", "quantile"})
_WORDS = {"ok": 1.0, "true": 1.0, "err": 0.0, "fail": 0.0, "false": 0.0}
#: Texts of servers that have no value for a field.
_NO_VALUE = frozenset({"n/a", "unavailable"})
#: A whole number from here on is a negative number that the server wrote as an unsigned one.
_UNDERFLOW = 2**63


def parse_number(text: str) -> float | None:
    """Return the number in a field, or None if the server has no value (an empty field, ``N/A``).

    As in redis_exporter, ``ok`` and ``true`` are 1, and ``err``, ``fail`` and ``false`` are 0. Raises ValueError for
    text that is not a finite number, and for the underflow of an unsigned number.
    """
    if text.isdecimal() and text.isascii() and len(text) < 19:  # nearly all fields, and three times as fast
        return float(text)
    if not text or text.lower() in _NO_VALUE:
        return None
    if is_underflow(text):
        raise ValueError("a negative number, taken for an unsigned one")
    if _NUMBER.fullmatch(text):
        value = float(text.removesuffix("%"))
        if math.isfinite(value):
            return value
    elif (word := _WORDS.get(text.lower())) is not None:
        return word
    raise ValueError("not a number")


def is_underflow(text: str) -> bool:
    """Return whether this is a negative number that was written as an unsigned one: 18446744073709525176."""
    return len(text) in (19, 20) and text.isdecimal() and text.isascii() and _UNDERFLOW <= int(text) < 2 * _UNDERFLOW


def usec(text: str) -> float | None:
    """Return a number of microseconds in seconds, or None if the server has no value."""
    value = parse_number(text)
    return None if value is None else value / 1e6


def msec(text: str) -> float | None:
    """Return a number of milliseconds in seconds, or None if the server has no value."""
    value = parse_number(text)
    return None if value is None else value / 1e3


@dataclass(frozen=True, slots=True, eq=False)
class MetricSpec:
    """The definition of one metric that a server reports.

    ``section`` and ``field`` name the source in the server's own words (INFO section and field, or command and item).
    ``name`` omits the prefix ``redis_``, and ``labels`` omits ``target``, which every series has. ``convert`` turns the
    text of the field into a float, in the unit of the name. Definitions compare by identity, so that a dict keyed by
    them is fast.
    """

    kind: Kind
    section: str
    field: str
    name: str
    help: str
    convert: Convert = parse_number
    labels: tuple[str, ...] = ()
    #: True if quantile labels are percentages (0-100), which OpenMetrics forbids.
    is_percent: bool = False
    #: The start of the full name. Only metrics that an operator names have none.
    prefix: str = PREFIX
    #: For such a summary: the separate families for ``_sum`` and ``_count``.
    openmetrics_parts: Mapping[str, "MetricSpec"] = attribute(init=False)
    full_name: str = attribute(init=False)
    #: Where the value comes from, for messages: ``Stats/expired_keys``.
    location: str = attribute(init=False)

    def __post_init__(self) -> None:
        """Raise ValueError for a malformed definition."""
        where = f"metric {self.section}/{self.field} -> {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{where}: unknown kind {self.kind!r}")
        if not _NAME.fullmatch(self.name) or (self.prefix and self.name.startswith(self.prefix)):
            raise ValueError(f"{where}: the name must be lower_snake_case and omit the prefix {PREFIX!r}")
        if not self.help or not self.help.endswith(".") or "\n" in self.help:
            raise ValueError(f"{where}: the help must be one sentence that ends with a full stop")
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label in _RESERVED_LABELS:
                raise ValueError(f"{where}: bad label {label!r}")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{where}: duplicate label")
        parts = {suffix: replace(self, is_percent=False) for suffix in ("_sum", "_count")} if self.is_percent else {}
        object.__setattr__(self, "openmetrics_parts", parts)
        object.__setattr__(self, "full_name", self.prefix + self.name)
        object.__setattr__(self, "location", f"{self.section}/{self.field}")

    def sample(self, value: float, *labels: str) -> "Sample":
        """Return a sample. Raises ValueError for a wrong number of labels, which the client library would drop."""
        self._check_labels(labels)
        return Sample(self, labels, value)

    def _check_labels(self, labels: tuple[str, ...]) -> None:
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.full_name} takes labels {self.labels}, got {len(labels)} values")

    def parse(self, text: str, *labels: str) -> "Sample | UnreadableField | None":
        """Return the sample of a field, None if the server has no value, or ``UnreadableField`` for any other text.

        A counter below zero is unreadable: Prometheus would treat it as a reset, and OpenMetrics forbids it. But a
        counter of -1 is how Dragonfly reports that it does not count.
        """
        try:
            value = self.convert(text)
        except ValueError:
            return UnreadableField(self.location)
        if text == "-1" and self.kind == "counter":
            return None
        return None if value is None else self.sample_or_unreadable(value, *labels)

    def sample_or_unreadable(self, value: float | None, *labels: str) -> "Sample | UnreadableField":
        """Return the sample of ``value``, or ``UnreadableField`` if a nested reply has no number there (None)."""
        if value is None or (value < 0 and self.kind == "counter"):
            return UnreadableField(self.location)
        return self.sample(float(value), *labels)

    def distribution(
        self, points: Iterable[tuple[str, float]], total: float, count: float, *labels: str
    ) -> list["Sample"]:
        """Return the samples of one histogram or summary.

        ``points`` are (upper bound, cumulative count) of a histogram without its ``+Inf``, or (quantile, value) of a
        summary. Upper bounds and quantiles are given as the text of their label. ``total`` is the sum of all
        observations.
        """
        if self.kind not in ("histogram", "summary"):
            raise ValueError(f"{self.full_name} is a {self.kind}")
        self._check_labels(labels)
        bucket = "_bucket" if self.kind == "histogram" else ""
        samples = [Sample(self, labels, value, bucket, edge) for edge, value in points]
        if bucket:
            samples.append(Sample(self, labels, count, bucket, "+Inf"))
        return [*samples, Sample(self, labels, total, "_sum"), Sample(self, labels, count, "_count")]

    def census(self, points: Iterable[tuple[str, float]], count: float, *labels: str) -> list["Sample"]:
        """Return the samples of one gauge histogram: how many things there are now, by their size.

        ``points`` are (upper bound, cumulative count) without ``+Inf``. The sum of all sizes is not known, so there is
        neither ``_gsum`` nor ``_gcount``: OpenMetrics allows them only together.
        """
        if self.kind != "gaugehistogram":
            raise ValueError(f"{self.full_name} is a {self.kind}")
        self._check_labels(labels)
        return [Sample(self, labels, value, "_bucket", edge) for edge, value in (*points, ("+Inf", count))]


class Sample(NamedTuple):
    """One value of one metric. ``labels`` are the values of ``metric.labels``, in order.

    Histograms, gauge histograms and summaries have several samples. Their ``suffix`` is added to the name. Their
    ``edge`` is the text of the label ``le`` or ``quantile``.
    """

    metric: MetricSpec
    labels: tuple[str, ...]
    value: float
    suffix: str = ""
    edge: str = ""


class UnreadableField(NamedTuple):
    """A part of a reply that could not be read. Only its own sample is missing, and it is counted."""

    location: str


class OverflowCount(NamedTuple):
    """Values that were combined under the label value ``overflow``, because a limit was reached. They are counted."""

    location: str
    values: int


class CollectorFault(NamedTuple):
    """A part of a collector (a script, by its name) that failed or returned nothing usable. It is logged.

    ``reason`` is one of ``errors.REASONS``. ``text`` is the error of the server, or what is wrong. It contains no
    arguments and no values.
    """

    part: str
    reason: str
    text: str


class SlowCommand(NamedTuple):
    """One slow command, by its name and the name of its client. ``seconds`` is None if it was unreadable."""

    command: str
    seconds: float | None
    client: str
    #: Its number in the slow log.
    number: int | None = None
    #: How many seconds ago it ended by the server's clock; None if not known.
    age: float | None = None


class SlowCommands(NamedTuple):
    """The slow commands since the last poll, the oldest first. They are logged.

    ``unread`` is the number of those that the server dropped before they were read.
    """

    commands: tuple[SlowCommand, ...]
    unread: int


class LatencySpike(NamedTuple):
    """The newest spike of one event of the server's latency monitor. ``at`` is Unix time of the server."""

    event: str
    at: int
    seconds: float
    #: How many seconds ago it ended by the server's clock; None if not known.
    age: float | None = None


class LatencySpikes(NamedTuple):
    """The newest spike of every event, in each poll. Those that are new may have been stalls."""

    spikes: tuple[LatencySpike, ...]


class WrittenLines(NamedTuple):
    """All lines of some metrics of one target, as a page shows them. No other item has samples of these metrics."""

    texts: Mapping[MetricSpec, str]


#: What a collector yields.
CollectorItem = Sample | WrittenLines | UnreadableField | OverflowCount | CollectorFault | SlowCommands | LatencySpikes


class KeptItems(tuple[CollectorItem, ...]):
    """What a collector yielded, if it can tell that nothing has changed: it then returns the same object again.

    The lines of the last run are then kept. Nothing among the items may depend on the time.
    """

    __slots__ = ()


def gauge(
    section: str, item: str, name: str, text: str, convert: Convert = parse_number, *, labels: tuple[str, ...] = ()
) -> MetricSpec:
    """Define a value that goes up and down."""
    return MetricSpec("gauge", section, item, name, text, convert, labels)


def counter(
    section: str, item: str, name: str, text: str, convert: Convert = parse_number, *, labels: tuple[str, ...] = ()
) -> MetricSpec:
    """Define a value that only grows (until the server restarts)."""
    return MetricSpec("counter", section, item, name, text, convert, labels)


def histogram(section: str, item: str, name: str, text: str, *, labels: tuple[str, ...] = ()) -> MetricSpec:
    """Define a distribution that the server reports as counts of buckets."""
    return MetricSpec("histogram", section, item, name, text, parse_number, labels)


def gauge_histogram(section: str, item: str, name: str, text: str, *, labels: tuple[str, ...] = ()) -> MetricSpec:
    """Define a distribution of what exists now. Its buckets go up and down, so ``rate()`` has no meaning for them."""
    return MetricSpec("gaugehistogram", section, item, name, text, parse_number, labels)


def summary(
    section: str, item: str, name: str, text: str, *, labels: tuple[str, ...] = (), is_percent: bool = False
) -> MetricSpec:
    """Define a distribution that the server reports as quantiles. ``is_percent``: they are percentages."""
    return MetricSpec("summary", section, item, name, text, parse_number, labels, is_percent)
