"""A metric is one row, and its name is spelled once: here are the row, the sample, and the unit conversions.

    gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server."),
    counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired."),
    gauge("Stats", "latest_fork_usec", "latest_fork_seconds", "Duration of the latest fork.", usec),

A malformed row is refused when it is written (at import), not when it is scraped.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import Literal, NamedTuple

Kind = Literal["gauge", "counter", "histogram", "summary"]
KINDS: tuple[Kind, ...] = ("gauge", "counter", "histogram", "summary")
Convert = Callable[[str], float | None]

PREFIX = "redis_"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)  # float() also takes nan, 1_0 and ٣
_RESERVED_LABELS = frozenset({"target", "job", "instance", "le", "quantile"})
_WORDS = {"ok": 1.0, "true": 1.0, "err": 0.0, "fail": 0.0, "false": 0.0}
#: With these a server says that it has no value.
_NO_VALUE = frozenset({"n/a", "unavailable"})
#: A whole number from here on is a negative one that the server took for an unsigned one.
_UNDERFLOW = 2**63


def parse_number(text: str) -> float | None:
    """Read a field as the established exporter does: ``ok``/``true`` is 1, ``err``/``fail``/``false`` is 0.

    Returns None for an empty field and for ``N/A`` (the server says nothing). Raises ValueError for text that is no
    finite number, and for the underflow of an unsigned number.
    """
    if text.isdecimal() and text.isascii() and len(text) < 19:  # most fields by far, in a third of the time
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
    """Whether this is a number such as 18446744073709525176: below 0, but written as an unsigned number of 64 bits."""
    return len(text) in (19, 20) and text.isdecimal() and text.isascii() and _UNDERFLOW <= int(text) < 2 * _UNDERFLOW


def usec(text: str) -> float | None:
    """Microseconds to seconds."""
    value = parse_number(text)
    return None if value is None else value / 1e6


def msec(text: str) -> float | None:
    """Milliseconds to seconds."""
    value = parse_number(text)
    return None if value is None else value / 1e3


@dataclass(frozen=True, slots=True, eq=False)
class MetricSpec:
    """One metric of what a server says.

    ``section`` and ``field`` name the source in the server's own words (INFO section and field, or command and item).
    ``name`` comes without the prefix ``redis_``; ``labels`` come without ``target``, which every series bears.
    ``convert`` turns the field's text into a float in the unit that the name promises.
    Rows compare by identity, so that a dict keyed by them is fast.
    """

    kind: Kind
    section: str
    field: str
    name: str
    help: str
    convert: Convert = parse_number
    labels: tuple[str, ...] = ()
    #: Whether this is a summary whose quantiles are percents, which OpenMetrics does not take for quantiles.
    percent: bool = False
    #: What stands before the name; only metrics that an operator names have none.
    prefix: str = PREFIX
    #: Of such a summary: under ``_sum`` and ``_count`` the rows of these lines, which are families of their own.
    openmetrics_parts: Mapping[str, "MetricSpec"] = attribute(init=False)
    full_name: str = attribute(init=False)
    #: Where the value comes from, for messages: ``InfoSummary/expired_keys``.
    location: str = attribute(init=False)

    def __post_init__(self) -> None:
        """Refuse a malformed row where it is written."""
        place = f"metric row {self.section}/{self.field} -> {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{place}: unknown kind {self.kind!r}")
        if not _NAME.fullmatch(self.name) or (self.prefix and self.name.startswith(self.prefix)):
            raise ValueError(f"{place}: the name must be lower_snake_case and come without the prefix {PREFIX!r}")
        if not self.help or not self.help.endswith(".") or "\n" in self.help:
            raise ValueError(f"{place}: the help must be one sentence that ends with a full stop")
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label in _RESERVED_LABELS:
                raise ValueError(f"{place}: bad label {label!r}")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{place}: a label stands twice")
        parts = {suffix: replace(self, percent=False) for suffix in ("_sum", "_count")} if self.percent else {}
        object.__setattr__(self, "openmetrics_parts", parts)
        object.__setattr__(self, "full_name", self.prefix + self.name)
        object.__setattr__(self, "location", f"{self.section}/{self.field}")

    def sample(self, value: float, *labels: str) -> "Sample":
        """Make a sample; a wrong number of label values is refused (prometheus_client would drop them silently)."""
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.full_name} takes labels {self.labels}, got {len(labels)} values")
        return Sample(self, labels, value)

    def parse(self, text: str, *labels: str) -> "Sample | UnreadableField | None":
        """Convert a field's text; None when the server has no value, ``UnreadableField`` when it makes no sense.

        A counter below zero makes none: Prometheus would take it for a reset, and OpenMetrics forbids it. But a counter
        of -1 is how Dragonfly says that it does not count.
        """
        try:
            value = self.convert(text)
        except ValueError:
            return UnreadableField(self.location)
        if text == "-1" and self.kind == "counter":
            return None
        return None if value is None else self.sample_or_unreadable(value, *labels)

    def sample_or_unreadable(self, value: float | None, *labels: str) -> "Sample | UnreadableField":
        """Take over a number of a nested reply, which is None when it was no number."""
        if value is None or (value < 0 and self.kind == "counter"):
            return UnreadableField(self.location)
        return self.sample(float(value), *labels)

    def distribution(
        self, points: Iterable[tuple[str, float]], total: float, count: float, *labels: str
    ) -> list["Sample"]:
        """Make the samples of one histogram or summary.

        ``points`` are (upper edge, cumulative count) of a histogram without its ``+Inf``, or (quantile, value) of a
        summary; edges and quantiles come as the text of their label. ``total`` is the sum of all observations.
        """
        if self.kind not in ("histogram", "summary"):
            raise ValueError(f"{self.full_name} is a {self.kind}")
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.full_name} takes labels {self.labels}, got {len(labels)} values")
        bucket = "_bucket" if self.kind == "histogram" else ""
        samples = [Sample(self, labels, value, bucket, edge) for edge, value in points]
        if bucket:
            samples.append(Sample(self, labels, count, bucket, "+Inf"))
        return [*samples, Sample(self, labels, total, "_sum"), Sample(self, labels, count, "_count")]


class Sample(NamedTuple):
    """One value of one metric; ``labels`` are the values of ``metric.labels``, in order.

    Histograms and summaries have several: ``suffix`` is added to the name, ``edge`` is the text of ``le`` or
    ``quantile``.
    """

    metric: MetricSpec
    labels: tuple[str, ...]
    value: float
    suffix: str = ""
    edge: str = ""


class UnreadableField(NamedTuple):
    """A part of a reply that could not be read: it costs its own sample, is counted, and harms no other."""

    location: str


class OverflowCount(NamedTuple):
    """Values that were put together under the label value ``overflow``, because a cap was reached; counted."""

    location: str
    values: int


class CollectorFault(NamedTuple):
    """A part of a collector (a script, by its name) that failed or gave nothing of use: it is logged.

    ``reason`` is one of ``errors.REASONS``. ``text`` is what the server said, or what is wrong: no argument, no value.
    """

    part: str
    reason: str
    text: str


#: What a collector yields.
CollectorItem = Sample | UnreadableField | OverflowCount | CollectorFault


def gauge(
    section: str, item: str, name: str, text: str, convert: Convert = parse_number, *, labels: tuple[str, ...] = ()
) -> MetricSpec:
    """Write the row of a value that goes up and down."""
    return MetricSpec("gauge", section, item, name, text, convert, labels)


def counter(
    section: str, item: str, name: str, text: str, convert: Convert = parse_number, *, labels: tuple[str, ...] = ()
) -> MetricSpec:
    """Write the row of a value that only grows (until the server restarts)."""
    return MetricSpec("counter", section, item, name, text, convert, labels)


def histogram(section: str, item: str, name: str, text: str, *, labels: tuple[str, ...] = ()) -> MetricSpec:
    """Write the row of a distribution that comes as counts of buckets."""
    return MetricSpec("histogram", section, item, name, text, parse_number, labels)


def summary(
    section: str, item: str, name: str, text: str, *, labels: tuple[str, ...] = (), percent: bool = False
) -> MetricSpec:
    """Write the row of a distribution that comes as quantiles; ``percent`` says that they are out of 100."""
    return MetricSpec("summary", section, item, name, text, parse_number, labels, percent)
