"""Read pages of protobuf, without any code of the encoder. It reads all fields of ``MetricFamily``.

https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator
from typing import Any

Message = dict[int, list[Any]]
TYPES = ("counter", "gauge", "summary", "untyped", "histogram", "gaugehistogram")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned number and the position behind it."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def signed(number: int) -> int:
    """Return the number of a ``sint32`` or ``sint64``."""
    return number >> 1 if number % 2 == 0 else -((number + 1) >> 1)


def message(data: bytes) -> Message:
    """Return the values of each field: numbers, doubles or bytes."""
    fields: Message = {}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value: Any
        match key & 7:
            case 0:
                value, at = varint(data, at)
            case 1:
                (value,) = struct.unpack_from("<d", data, at)
                at += 8
            case 2:
                length, at = varint(data, at)
                value = data[at : at + length]
                assert len(value) == length, "the message is cut"
                at += length
            case kind:
                raise AssertionError(f"wire type {kind}")
        fields.setdefault(key >> 3, []).append(value)
    return fields


def packed(data: bytes) -> list[int]:
    """Return the signed numbers of a packed field."""
    numbers, at = [], 0
    while at < len(data):
        number, at = varint(data, at)
        numbers.append(signed(number))
    return numbers


class Series:
    """One metric of a family."""

    def __init__(self, fields: Message) -> None:
        pairs = [message(pair) for pair in fields.get(1, [])]
        self.labels = {pair[1][0].decode(): pair[2][0].decode() for pair in pairs}
        [(self.kind, [content])] = [item for item in fields.items() if item[0] != 1]
        self.content = message(content)

    def number(self, field: int) -> Any:
        """Return the number of a field that occurs once."""
        [value] = self.content[field]
        return value

    @property
    def value(self) -> float:
        """The value of a counter or gauge."""
        return float(self.number(1))

    @property
    def buckets(self) -> dict[float, int]:
        """The classic buckets by their upper bound, or the quantiles of a summary."""
        buckets = [message(one) for one in self.content.get(3, [])]
        if self.kind == 4:
            return {one[1][0]: one[2][0] for one in buckets}
        return {one[2][0]: one[1][0] for one in buckets}

    @property
    def native(self) -> dict[int, int]:
        """The native buckets by their index."""
        counts = iter([delta for field in self.content.get(13, []) for delta in packed(field)])
        buckets: dict[int, int] = {}
        index = count = 0
        for span in [message(one) for one in self.content.get(12, [])]:
            index += signed(span[1][0])
            for _ in range(span[2][0]):
                count += next(counts)
                buckets[index] = count
                index += 1
        assert next(counts, None) is None, "more counts than the spans have"
        return buckets


class Family:
    """One family: name, type, help and series."""

    def __init__(self, fields: Message) -> None:
        self.name = fields[1][0].decode()
        self.help = fields[2][0].decode()
        self.type = TYPES[fields[3][0]]
        self.series = [Series(message(one)) for one in fields[4]]


def families(page: bytes) -> Iterator[Family]:
    """Yield the families of a page, each behind its length."""
    at = 0
    while at < len(page):
        length, at = varint(page, at)
        assert at + length <= len(page), "the page is cut"
        yield Family(message(page[at : at + length]))
        at += length


def samples(page: bytes) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the samples that Prometheus makes of a page, except native histograms. Bounds have the text of the page."""
    for family in families(page):
        for one in family.series:
            if family.type not in ("histogram", "summary"):
                yield family.name, one.labels, one.value
                continue
            if 5 in one.content:
                continue
            edge, suffix = ("le", "_bucket") if family.type == "histogram" else ("quantile", "")
            for bound, value in one.buckets.items():
                yield family.name + suffix, one.labels | {edge: repr(bound)}, value
            if family.type == "histogram":
                yield f"{family.name}_bucket", one.labels | {"le": "inf"}, one.number(1)
            yield f"{family.name}_count", one.labels, one.number(1)
            yield f"{family.name}_sum", one.labels, one.number(2)
