"""Read ``Accept`` and ``Accept-Encoding``: which format a client prefers, and whether it accepts gzip.

prometheus_client has functions for this, ``choose_encoder`` and ``gzip_accepted``. They take the first match in the
header and ignore ``q``. But Prometheus ranks its formats by ``q``, so this module reads the headers itself.

Prometheus prefers protobuf if it reads native histograms. As in client_golang, protobuf is chosen only by its full name
and parameters, and never by a wildcard.

Since version 3 Prometheus adds an escaping scheme to the formats of version 1.0.0. All our names are plain
(``[a-zA-Z_:][a-zA-Z0-9_:]*``), so the same bytes are right under all schemes except ``dots``. That one would double
their underscores.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_QVALUE = re.compile(r"(?:[01](?:\.\d*)?|\.\d+)\Z")
#: Ranges of a header that are read.
_MAX_RANGES = 64
#: Escaping schemes that leave our names unchanged, and how Prometheus spells them.
_ESCAPING = {
    "allow-utf-8": "allow-utf-8",
    "allow-utf8": "allow-utf-8",
    "underscores": "underscores",
    "values": "values",
}


@dataclass(frozen=True, slots=True)
class ExpositionFormat:
    """A format of the page of metrics: its Content-Type, and whether it is OpenMetrics or protobuf. Else it is text."""

    content_type: str
    openmetrics: bool
    protobuf: bool = False


class _Offer(NamedTuple):
    media_type: str
    version: str


#: The formats that we have. The first is preferred if the client has no preference.
_OFFERS = (
    _Offer("text/plain", "0.0.4"),
    _Offer("text/plain", "1.0.0"),
    _Offer("application/openmetrics-text", "1.0.0"),
    _Offer("application/vnd.google.protobuf", ""),
)
#: The parameters that a client must name to get protobuf.
_PROTOBUF_PARAMS = {"proto": "io.prometheus.client.MetricFamily", "encoding": "delimited"}


class _Range(NamedTuple):
    """One item of a header, such as ``text/*;q=0.5``."""

    name: str
    params: dict[str, str]
    q: float


class _Rank(NamedTuple):
    """How well an offer suits the client. The greatest rank wins."""

    q: float
    specificity: int
    #: the negative position of the range in the header
    earliness: int
    #: the negative position of the offer in ``_OFFERS``
    preference: int


@lru_cache(maxsize=64)
def choose_format(accept: str) -> ExpositionFormat:
    """Return the format that the client prefers, or text 0.0.4 if it names no format that we have.

    The greatest ``q`` wins, then an exact name before a wildcard, then the first in the header.
    """
    ranges = _parse(accept)
    best: tuple[_Rank, _Offer, _Range] | None = None
    for preference, offer in enumerate(_OFFERS):
        matching = [
            (specificity, range_.q, -position, range_)
            for position, range_ in enumerate(ranges)
            if (specificity := _specificity(range_, offer)) is not None
        ]
        if not matching:
            continue
        specificity, q, earliness, range_ = max(matching, key=lambda match: match[:3])
        rank = _Rank(q, specificity, earliness, -preference)
        if q > 0 and (best is None or rank > best[0]):
            best = (rank, offer, range_)
    if best is None:
        return ExpositionFormat("text/plain; version=0.0.4; charset=utf-8", openmetrics=False)
    _, offer, range_ = best
    is_protobuf = not offer.version
    if is_protobuf:
        params = [f"{name}={value}" for name, value in _PROTOBUF_PARAMS.items()]
        content_type = "; ".join([offer.media_type, *params])
    else:
        content_type = f"{offer.media_type}; version={offer.version}; charset=utf-8"
    if offer.version != "0.0.4" and "escaping" in range_.params:
        content_type += f"; escaping={_ESCAPING.get(range_.params['escaping'], 'underscores')}"
    is_openmetrics = offer.media_type == "application/openmetrics-text"
    return ExpositionFormat(content_type, openmetrics=is_openmetrics, protobuf=is_protobuf)


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the client accepts gzip and does not prefer the plain body."""
    weights: dict[str, float] = {}
    for range_ in _parse(accept_encoding):
        weights.setdefault("gzip" if range_.name == "x-gzip" else range_.name, range_.q)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _specificity(range_: _Range, offer: _Offer) -> int | None:
    """Return how exactly a range names an offer, from 0 (``*/*``) to 3 (type and version), or None."""
    if not offer.version:
        is_named = range_.name == offer.media_type and range_.params.items() >= _PROTOBUF_PARAMS.items()
        return 3 if is_named else None
    if range_.name == offer.media_type:
        if "version" not in range_.params:
            return 2
        return 3 if range_.params["version"] == offer.version else None
    if range_.name == offer.media_type.partition("/")[0] + "/*":
        return 1
    return 0 if range_.name in ("*/*", "*") else None


def _parse(header: str) -> list[_Range]:
    ranges = []
    for item in header.split(",")[:_MAX_RANGES]:
        name, *raw_params = (part.strip() for part in item.split(";"))
        params = {}
        for raw in raw_params:
            key, _, value = raw.partition("=")
            params[key.strip().lower()] = value.strip().strip('"')
        q = params.pop("q", "1")
        if name and _QVALUE.match(q):
            ranges.append(_Range(name.lower(), params, min(float(q), 1.0)))
    return ranges
