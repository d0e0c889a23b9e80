"""Turn the lines of one family of one target into metrics of protobuf.

Servers and targets are rendered as text once per change. Few scrapers ask for protobuf, so these lines are the source.
All targets have about the same labels apart from ``target``. Their encoded form is cached, so a line takes 1 µs.

The series are those of the text format 0.0.4. A gauge histogram is a family of gauges there, and so it is here.
"""

import math
import re
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache

from redis_pulse.exposition.protobuf import (
    bucket,
    double,
    exemplar,
    histogram,
    label,
    metric,
    metric_start,
    quantile,
    scalar_start,
    summary,
)
from redis_pulse.slices import ITEMS_PER_SLICE
from redis_pulse.text_format import render_label

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r'\\([\\"n])')
#: A line with an exemplar: its series, its value, and the exemplar.
_WITH_EXEMPLAR = re.compile(rb'([^{]*\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}) (\S+)( # .*)', re.DOTALL)
#: The labels, the value and the time of an exemplar.
_EXEMPLAR = re.compile(r" # \{(.*)\} (\S+) (\S+)", re.DOTALL)
#: Bytes of lines that are encoded without a pause. They take about half a millisecond.
_PIECE = 16 * 1024
#: Values of labels that are kept encoded.
_CACHED = 8192


class _Distribution:
    """The parts of one histogram or summary."""

    __slots__ = ("count", "parts", "total")

    def __init__(self) -> None:
        self.count: int | None = None
        self.total = math.nan  # some servers report no sum
        self.parts: list[bytes] = []


def encode_lines(kind: str, name: str, target: str, text: bytes) -> bytes:
    """Return the metrics of the family ``name`` on one target, each as a field of ``MetricFamily``."""
    steps = encode_steps(kind, name, target, text)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            encoded: bytes = end.value
            return encoded


def encode_steps(kind: str, name: str, target: str, text: bytes) -> Generator[None, None, bytes]:
    """Do what ``encode_lines`` does, and yield after each slice. A server with 5000 commands has 130 000 lines."""
    if kind in ("histogram", "summary"):
        return (yield from _encode_distributions(kind, name, target, text))
    if len(text) <= _PIECE:
        return _encode_scalars(kind, name, target, text)
    encoded = []
    for piece in _pieces(text):
        encoded.append(_encode_scalars(kind, name, target, piece))
        yield
    return b"".join(encoded)


def encode_plain(kind: str, name: str, target: str, text: bytes) -> bytes:
    """Return the metric of a text that is one line with the label ``target`` only. Return nothing for other texts.

    Most metrics have such a line. It takes half the time of ``encode_lines``.
    """
    start, length = _plain_start(kind, target)
    at = len(name) + length
    if text[at - 2 : at] == b"} " and text.find(b"\n") == len(text) - 1 and start:
        return start + double(float(text[at:-1]))
    return b""


@lru_cache(maxsize=_CACHED)
def _plain_start(kind: str, target: str) -> tuple[bytes, int]:
    """Return what precedes the value in protobuf, and the length of what stands between name and value in the text."""
    label_length = len(f"{{{render_label('target', target)}}} ".encode())
    if kind in ("histogram", "summary", "gaugehistogram"):
        return b"", label_length
    content = encode_target(target) + scalar_start(kind)
    return metric_start(len(content) + 8) + content, label_length


def _encode_scalars(kind: str, name: str, target: str, text: bytes) -> bytes:
    if kind == "gaugehistogram":
        kind, name = "gauge", f"{name}_bucket"
    target_label = encode_target(target)
    start = scalar_start(kind)
    fixed = len(target_label) + len(start) + 8
    skip = labels_offset(name, target)
    encoded: list[bytes] = []
    for line in text.split(b"\n"):
        if line:
            series, _, number = line.rpartition(b" ")
            labels = _encode_labels(series[skip:])
            encoded += (metric_start(fixed + len(labels)), target_label, labels, start, double(float(number)))
    return b"".join(encoded)


def _pieces(text: bytes) -> Iterator[bytes]:
    """Yield a long text in pieces of whole lines."""
    start = 0
    while start < len(text):
        end = text.rfind(b"\n", start, start + _PIECE) + 1 or text.find(b"\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def series_name(kind: str, name: str) -> str:
    """Return the name of a family in protobuf. The text format has the same."""
    return f"{name}_bucket" if kind == "gaugehistogram" else name


def metric_type(kind: str) -> str:
    """Return the type of a family in protobuf. The text format has the same."""
    return "gauge" if kind == "gaugehistogram" else kind


@lru_cache(maxsize=_CACHED)
def encode_target(target: str) -> bytes:
    """Return the label of a target. Its value is the one that text pages show."""
    return _encode_labels(f",{render_label('target', target)}}}".encode())


@lru_cache(maxsize=_CACHED)
def labels_offset(name: str, target: str) -> int:
    """Return how many bytes of a line precede the labels after ``target``."""
    return len(f"{name}{{{render_label('target', target)}".encode())


def _encode_distributions(kind: str, name: str, target: str, text: bytes) -> Generator[None, None, bytes]:
    skip = labels_offset("", target)
    found: dict[bytes, _Distribution] = {}
    for number, piece in enumerate(_pieces(text)):
        if number:
            yield
        _collect(kind, len(name), skip, piece, found)
    encode = histogram if kind == "histogram" else summary
    target_label = encode_target(target)
    encoded = []
    for number, (labels, one) in enumerate(found.items(), start=1):
        encoded.append(metric(target_label + labels, encode(one.count or 0, one.total, one.parts)))
        if number % ITEMS_PER_SLICE == 0:
            yield
    return b"".join(encoded)


def _collect(kind: str, name_length: int, skip: int, text: bytes, found: dict[bytes, _Distribution]) -> None:
    """Sort the lines of distributions by their labels. ``skip`` is the length of the label of the target."""
    for line in text.split(b"\n"):
        if not line:
            continue
        extra = b""
        series, _, number = line.rpartition(b" ")
        if not series.endswith(b"}"):
            series, number, extra = _split_exemplar(line)
        suffix = series[name_length : series.index(b"{")]
        labels = series[name_length + len(suffix) + skip :]
        if suffix in (b"_sum", b"_count"):
            one = found.setdefault(_encode_labels(labels), _Distribution())
            if suffix == b"_sum":
                one.total = float(number)
            else:
                one.count = _whole(number)
            continue
        others, edge = _split_edge(labels)
        one = found.setdefault(others, _Distribution())
        if kind == "summary":
            one.parts.append(quantile(edge, float(number)))
            continue
        if edge < math.inf or extra:
            one.parts.append(bucket(_whole(number), edge, extra))
        if edge == math.inf and one.count is None:
            one.count = _whole(number)


@lru_cache(maxsize=_CACHED)
def _encode_labels(text: bytes) -> bytes:
    """Return labels that follow the label of the target. Their text ends with ``}``."""
    return b"".join([label(name, value) for name, value in _parse_labels(text.decode())])


@lru_cache(maxsize=_CACHED)
def _split_edge(text: bytes) -> tuple[bytes, float]:
    """Return the labels before ``le`` or ``quantile``, which is the last, and its number."""
    labels = _parse_labels(text.decode())
    return b"".join([label(name, value) for name, value in labels[:-1]]), float(labels[-1][1])


def _split_exemplar(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the series, the value and the encoded exemplar of a line."""
    match = _WITH_EXEMPLAR.fullmatch(line)
    if match is None:
        raise ValueError("a line of the page has neither labels nor an exemplar")
    series, number, text = match.groups()
    return series, number, encode_exemplar(text.decode())


def encode_exemplar(text: str) -> bytes:
    """Return an exemplar that OpenMetrics shows behind the line of its bucket."""
    match = _EXEMPLAR.fullmatch(text)
    if match is None:
        raise ValueError("not an exemplar of OpenMetrics")
    return exemplar(_parse_labels(match[1]), float(match[2]), float(match[3]))


def _parse_labels(text: str) -> Sequence[tuple[str, str]]:
    return [
        (name, _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], value))
        for name, value in _LABEL.findall(text)
    ]


def _whole(number: bytes) -> int:
    return int(number) if number.isdigit() else max(0, int(float(number)))
