"""What stands above the lines of a row, in either format."""

from collections.abc import Iterable, Iterator

from exporter.lines import header
from exporter.metric import Metric

#: By whether the page is OpenMetrics.
Headers = dict[bool, bytes]


def headers_of(name: str, kind: str, text: str) -> Headers:
    """Return HELP and TYPE of a family."""
    return {openmetrics: header(name, kind, text, openmetrics=openmetrics) for openmetrics in (False, True)}


def headed(rows: Iterable[Metric]) -> Iterator[tuple[Metric, Headers]]:
    """Yield the rows in the order of the page, each with what stands above its lines.

    A quantile of OpenMetrics is from 0 to 1. A summary in percent is no summary there but three families of unknown
    type, which have the same names and the same series.
    """
    for row in rows:
        of_row = headers_of(row.full_name, row.kind, row.help)
        if row.parts:
            of_row[True] = header(row.full_name, "unknown", row.help, openmetrics=True)
        yield row, of_row
        for suffix, part in row.parts.items():
            yield part, {False: b"", True: header(row.full_name + suffix, "unknown", row.help, openmetrics=True)}
