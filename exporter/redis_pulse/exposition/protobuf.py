"""Encode ``io.prometheus.client.MetricFamily`` of protobuf by hand, each message after its length.

Prometheus asks for this format when it reads native histograms. The messages have few fields, and a library would
create an object for each of a million samples.

https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto

Worked example: the gauge ``redis_up{target="cart"} 1``, as a field ``metric`` of its family::

    22 1b                                          field 4 of MetricFamily (metric), 27 bytes
       0a 0e  0a 06 "target"  12 04 "cart"         field 1 of Metric (label): name and value
       12 09  09 000000000000f03f                  field 2 of Metric (gauge): its value 1.0
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct

from redis_pulse.telemetry import NativeSnapshot
from redis_pulse.text_format import clean_help

#: ``MetricType`` by the kind of a family. A kind that is missing is untyped.
_TYPES = {"counter": 0, "gauge": 1, "summary": 2, "histogram": 4}
_UNTYPED = 3
#: How a field of ``Metric`` with a single value starts: its key, its length, the key of the value.
_SCALARS = {"counter": b"\x1a\x09\x09", "gauge": b"\x12\x09\x09"}
_UNTYPED_SCALAR = b"\x2a\x09\x09"
_DOUBLE = Struct("<d").pack


def varint(number: int) -> bytes:
    """Return an unsigned number, 7 bits a byte, the lowest first."""
    return _VARINTS[number] if number < _SMALL else _encode_varint(number)


def _encode_varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


#: Numbers below this are looked up.
_SMALL = 4096
_VARINTS = tuple(_encode_varint(number) for number in range(_SMALL))


def _zigzag(number: int) -> bytes:
    """Return a signed number: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _field(number: int, content: bytes) -> bytes:
    """Return a field that has a length: a text, a message or packed numbers."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def label(name: str, value: str) -> bytes:
    """Return one label as a field of ``Metric``."""
    return _field(1, _field(1, name.encode()) + _field(2, value.encode()))


def family_start(name: str, kind: str, text: str) -> bytes:
    """Return name, help and type: the fields of a family before its metrics."""
    return (
        _field(1, name.encode()) + _field(2, clean_help(text).encode()) + b"\x18" + varint(_TYPES.get(kind, _UNTYPED))
    )


def metric(labels: bytes, content: bytes) -> bytes:
    """Return one metric as a field of ``MetricFamily``."""
    return metric_start(len(labels) + len(content)) + labels + content


@lru_cache(maxsize=8192)
def metric_start(length: int) -> bytes:
    """Return what precedes a metric of this length in its family."""
    return b"\x22" + varint(length)


def scalar_start(kind: str) -> bytes:
    """Return what precedes the value of a counter or gauge. The value has the 8 bytes of ``double``."""
    return _SCALARS.get(kind, _UNTYPED_SCALAR)


def double(value: float) -> bytes:
    """Return the 8 bytes of a number."""
    return _DOUBLE(value)


def scalar(kind: str, value: float, created: float | None = None) -> bytes:
    """Return the value of a counter or gauge as a field of ``Metric``. ``created`` is the Unix time of a counter."""
    if created is None or kind != "counter":
        return scalar_start(kind) + _DOUBLE(value)
    return _field(3, b"\x09" + _DOUBLE(value) + _field(3, timestamp(created)))


def timestamp(seconds: float) -> bytes:
    """Return a ``google.protobuf.Timestamp``."""
    whole = math.floor(seconds)
    return b"\x08" + varint(whole) + b"\x10" + varint(int((seconds - whole) * 1e9))


def exemplar(labels: Iterable[tuple[str, str]], value: float, seconds: float) -> bytes:
    """Return an exemplar: its labels, its value, and its Unix time."""
    encoded = b"".join([label(name, text) for name, text in labels])
    return encoded + b"\x11" + _DOUBLE(value) + _field(3, timestamp(seconds))


def bucket(count: int, upper_bound: float, exemplar_: bytes = b"") -> bytes:
    """Return a bucket of a classic histogram, as a field. ``count`` includes all smaller buckets."""
    content = b"\x08" + varint(count) + b"\x11" + _DOUBLE(upper_bound)
    return _field(3, content + _field(3, exemplar_) if exemplar_ else content)


def histogram(count: int, total: float, buckets: Iterable[bytes], created: float | None = None) -> bytes:
    """Return a classic histogram as a field of ``Metric``. As in client_golang, the bucket ``+Inf`` is left out.

    Only an exemplar keeps it.
    """
    content = b"\x08" + varint(count) + b"\x11" + _DOUBLE(total) + b"".join(buckets)
    return _field(7, content if created is None else content + _field(15, timestamp(created)))


def classic_buckets(bounds: tuple[float, ...], cumulative: Sequence[int]) -> list[bytes]:
    """Return the parts of the buckets of a classic histogram without exemplars."""
    parts: list[bytes] = []
    for end, count in zip(_bucket_ends(bounds), cumulative, strict=False):
        number = varint(count)
        parts += (_BUCKET_STARTS[len(number)], number, end)
    return parts


#: The start of a bucket up to its count, by the length of the count.
_BUCKET_STARTS = tuple(b"\x1a" + bytes([length + 10]) + b"\x08" for length in range(11))


@lru_cache(maxsize=100)
def _bucket_ends(bounds: tuple[float, ...]) -> tuple[bytes, ...]:
    return tuple(b"\x11" + _DOUBLE(bound) for bound in bounds)


def quantile(of: float, value: float) -> bytes:
    """Return a quantile of a summary, as a field."""
    return _field(3, b"\x09" + _DOUBLE(of) + b"\x11" + _DOUBLE(value))


def summary(count: int, total: float, quantiles: Iterable[bytes], created: float | None = None) -> bytes:
    """Return a summary as a field of ``Metric``."""
    content = b"\x08" + varint(count) + b"\x11" + _DOUBLE(total) + b"".join(quantiles)
    return _field(4, content if created is None else content + _field(4, timestamp(created)))


def native_histogram(snapshot: NativeSnapshot) -> bytes:
    """Return a native histogram as a field of ``Metric``.

    Prometheus refuses the whole page if the count is not the sum of the buckets. So the sum is computed here.
    """
    spans, deltas = _spans(snapshot.counts, snapshot.first)
    content = [
        b"\x08" + varint(snapshot.zero_count + sum(snapshot.counts)),
        b"\x11" + _DOUBLE(snapshot.total),
        b"\x28" + _zigzag(snapshot.schema),
        b"\x31" + _DOUBLE(snapshot.zero_threshold),
        b"\x38" + varint(snapshot.zero_count),
        spans,
        _field(13, deltas) if deltas else b"",
        _field(15, timestamp(snapshot.created)),
        *[_field(16, exemplar(*one)) for one in snapshot.exemplars],
    ]
    return _field(7, b"".join(content))


def _spans(counts: Sequence[int], first: int) -> tuple[bytes, bytes]:
    """Return the spans of buckets that are not empty, and the differences of their counts.

    ``first`` is the index of the first count. The offset of a span is the gap after the span before.
    """
    spans, deltas = [], []
    offset, length, before = first, 0, 0
    for count in counts:
        if count:
            length += 1
            deltas.append(_zigzag(count - before))
            before = count
            continue
        if length:
            spans.append(_span(offset, length))
            offset, length = 0, 0
        offset += 1
    if length:
        spans.append(_span(offset, length))
    return b"".join(spans), b"".join(deltas)


def _span(offset: int, length: int) -> bytes:
    return _field(12, b"\x08" + _zigzag(offset) + b"\x10" + varint(length))


def labels_of(labels: Mapping[str, str]) -> bytes:
    """Return all labels of a metric."""
    return b"".join([label(name, value) for name, value in labels.items()])
