"""The page: everything in the store and everything that we count, one family a metric for all targets.

A target's lines are rendered once per poll (``render``) and are the same bytes in both formats; a scrape joins them
family by family, in slices short enough that a PONG which arrives meanwhile is not kept waiting. Scrapes that come
while a page is being built share it.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and OpenMetrics 1.0.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter

from isal import isal_zlib
from prometheus_client import Metric as Family

from exporter.instruments import Instruments
from exporter.metric import Metric, Sample
from exporter.store import Lines, Store

#: Seconds of work after which a page in the making lets others have the loop.
SLICE = 0.0005
_GZIP = 16 + isal_zlib.MAX_WBITS


def render(target: str, samples: Iterable[Sample]) -> dict[Metric, bytes]:
    """Render what a collector found on a target; of two samples of one series the later one stays."""
    lines: dict[Metric, dict[tuple[str, ...], str]] = {}
    own = f'target="{escape(target)}"'
    for metric, labels, value in samples:
        pairs = "".join([f',{key}="{escape(text)}"' for key, text in zip(metric.labels, labels, strict=True)])
        lines.setdefault(metric, {})[labels] = f"{metric.full_name}{{{own}{pairs}}} {number(value)}\n"
    return {metric: "".join(series.values()).encode() for metric, series in lines.items()}


def escape(text: str) -> str:
    """Escape a label value."""
    if "\\" in text or "\n" in text or '"' in text:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text


def number(value: float) -> str:
    """Write a float the shortest way that reads back as the same float."""
    value = float(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def header(name: str, kind: str, text: str, *, openmetrics: bool) -> bytes:
    """Write HELP and TYPE of a family, given the name that its samples bear.

    OpenMetrics names a counter without its ``_total`` and knows no counter that lacks it: such an established name
    (``redis_total_error_replies``) is of type ``unknown`` there.
    """
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
        if kind == "counter":
            name, kind = (name[:-6], kind) if name.endswith("_total") else (name, "unknown")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


class Page:
    """Builds ``/metrics``."""

    def __init__(
        self,
        store: Store,
        instruments: Instruments,
        rows: Sequence[Metric],
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._store = store
        self._instruments = instruments
        self._clock = clock
        self._rows = [
            (row, {om: header(row.full_name, row.kind, row.help, openmetrics=om) for om in (False, True)})
            for row in rows
        ]
        self._building: dict[tuple[bool, bool], asyncio.Task[bytes]] = {}

    async def body(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return the page as text or OpenMetrics, compressed or plain."""
        key = (openmetrics, gzip)
        task = self._building.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._build(openmetrics=openmetrics, gzip=gzip))
            self._building[key] = task
            task.add_done_callback(lambda _: self._building.pop(key, None))
        return await asyncio.shield(task)

    async def _build(self, *, openmetrics: bool, gzip: bool) -> bytes:
        started = slice_began = self._clock()
        squeeze = isal_zlib.compressobj(level=1, wbits=_GZIP) if gzip else None
        parts: list[bytes] = []
        for chunk in self._chunks(openmetrics=openmetrics):
            parts.append(squeeze.compress(chunk) if squeeze else chunk)
            if self._clock() - slice_began > SLICE:
                await asyncio.sleep(0)
                slice_began = self._clock()
        if squeeze:
            parts.append(squeeze.flush())
        self._instruments.render_seconds.observe(self._clock() - started)
        return b"".join(parts)

    def _chunks(self, *, openmetrics: bool) -> Iterator[bytes]:
        pages = self._store.pages()
        for row, headers in self._rows:
            lines = _lines_of(row, pages)
            if lines:
                yield headers[openmetrics]
                yield lines
        for family in self._instruments.collect():
            yield from _family(family, openmetrics=openmetrics)
        if openmetrics:
            yield b"# EOF\n"


def _lines_of(row: Metric, pages: Sequence[Lines]) -> bytes:
    return b"".join([lines[row] for lines in pages if row in lines])


def _family(family: Family, *, openmetrics: bool) -> Iterator[bytes]:
    """Render a family of our own instruments; its creation times are left out (they double the page)."""
    name = family.name + ("_total" if family.type == "counter" else "")
    yield header(name, family.type, family.documentation, openmetrics=openmetrics)
    for sample in family.samples:
        if sample.name.endswith("_created"):
            continue
        labels = ",".join([f'{key}="{escape(text)}"' for key, text in sample.labels.items()])
        braces = f"{{{labels}}}" if labels else ""
        yield f"{sample.name}{braces} {number(sample.value)}\n".encode()
