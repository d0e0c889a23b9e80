"""The page: everything in the store and everything that we count, one family a metric for all targets.

A target's lines are rendered once per poll (``render``) and are the same bytes in both formats; a scrape joins them
family by family, in slices short enough that a PONG which arrives meanwhile is not kept waiting. Scrapes that come
while a page is being built, or a moment after, share it: however many ask, the measuring goes on.

What one line looks like stands in ``lines``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_, itemgetter
from time import perf_counter
from typing import Any, TypeVar
from weakref import WeakSet

from isal import isal_zlib
from prometheus_client import Metric as Collected

from redis_pulse.exposition.page_filter import Part
from redis_pulse.exposition.rendering import headed, headers_of
from redis_pulse.metric import Metric
from redis_pulse.sample_store import Lines, Shape, Store
from redis_pulse.telemetry import Family, Instruments
from redis_pulse.telemetry.families import OF_TARGETS
from redis_pulse.text_format import escape, header, number

#: Seconds of work after which a page in the making lets others have the loop: a quarter of the time they took, when
#: that is more: or on a busy machine, where they have much to catch up with, a page would take minutes. And the most.
SLICE, _SHARE, _LONGEST = 0.0005, 0.25, 0.005
#: Bytes that are compressed at once: each call costs some microseconds, and 32 KiB take a tenth of a millisecond.
_BLOCK = 32 * 1024
#: Bytes of joined lines that are kept from one scrape to the next.
_KEPT = 1024 * 1024
#: Seconds for which a page that was built is handed out again, or as long as it took to build, if that was longer: so
#: a flood of scrapes has at most half of the loop's time. How long at most, and the bytes that such a page may have.
FRESH, _OLDEST, _LARGEST = 0.02, 0.5, 8 * 1024 * 1024
T = TypeVar("T")
_GZIP = 16 + isal_zlib.MAX_WBITS


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
        self._rows = list(headed(rows))
        #: shapes whose rows are all among ours; operators name metrics too, and a reload may bring some
        self._shapes: WeakSet[Shape] = WeakSet()
        self._ours = [(family, headers_of(family.name, family.kind, family.help)) for family in OF_TARGETS]
        self._known: dict[bool, tuple[list[Lines], bytes]] = {}
        self._building: dict[tuple[bool, bool], asyncio.Task[bytes]] = {}
        self._built: dict[tuple[bool, bool], tuple[float, bytes]] = {}

    async def body(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return the page as text or OpenMetrics, compressed or plain."""
        key = (openmetrics, gzip)
        if (built := self._built.get(key)) is not None and self._clock() < built[0]:
            return built[1]
        task = self._building.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._whole(openmetrics=openmetrics, gzip=gzip))
            self._building[key] = task
            task.add_done_callback(lambda _: self._building.pop(key, None))
        return await asyncio.shield(task)

    async def part(self, part: Part, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return a part of the page."""
        return await self._build(self._part(part, openmetrics=openmetrics), gzip=gzip)

    @property
    def names(self) -> list[str]:
        """The names of all families that there may be, as the text format spells them."""
        ours = [_name(family) for family in self._instruments.of_ourselves()]
        rows = [row.full_name for row, _ in self._rows]
        return list(dict.fromkeys([*rows, *(family.name for family, _ in self._ours), *ours]))

    async def _whole(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Build the page, and keep it for a moment."""
        key, began = (openmetrics, gzip), self._clock()
        self._built.pop(key, None)
        body = await self._build(self._chunks(openmetrics=openmetrics), gzip=gzip)
        now = self._clock()
        if len(body) <= _LARGEST:
            self._built[key] = now + min(max(FRESH, now - began), _OLDEST), body
        return body

    async def _build(self, chunks: Iterator[bytes], *, gzip: bool) -> bytes:
        started = slice_began = self._clock()
        squeeze = isal_zlib.compressobj(level=1, wbits=_GZIP) if gzip else None
        done: list[bytes] = []
        fresh: list[bytes] = []
        size, allowed = 0, SLICE
        for chunk in chunks:
            fresh.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                done.append(_pack(fresh, squeeze))
                fresh, size = [], 0
            if (now := self._clock()) - slice_began > allowed:
                await asyncio.sleep(0)
                slice_began = self._clock()
                allowed = min(_LONGEST, max(SLICE, (slice_began - now) * _SHARE))
        done.append(_pack(fresh, squeeze))
        if squeeze:
            done.append(squeeze.flush())
        self._instruments.render_seconds.observe(self._clock() - started)
        return b"".join(done)

    def _chunks(self, *, openmetrics: bool) -> Iterator[bytes]:
        """Yield the page in pieces, each the work of a part of a slice; some are empty."""
        pages = self._store.pages()
        known = self._known.get(openmetrics)
        if known and len(known[0]) == len(pages) and all(map(is_, known[0], pages)):
            yield known[1]  # nothing was polled since the last scrape
        else:
            yield from self._of_servers(pages, openmetrics=openmetrics)
        ours = defaultdict[Family, list[bytes]](list)
        for lines in self._instruments.of_targets():
            for family, text in lines.items():
                ours[family].append(text)
            yield b""
        for family, headers in self._ours:
            if texts := ours.pop(family, None):
                yield headers[openmetrics]
                yield from _pieces(texts, bytes)
        for collected in self._instruments.of_ourselves():
            yield _family(collected, openmetrics=openmetrics)
        if openmetrics:
            yield b"# EOF\n"

    def _part(self, part: Part, *, openmetrics: bool) -> Iterator[bytes]:
        targets = part.targets(self._instruments)
        self._learn(lines.shape for target in targets for lines in self._store.of(target).values())
        yield from part.of_servers(self._store, targets, self._rows, openmetrics=openmetrics)
        yield from part.of_ours(self._instruments, targets, self._ours, openmetrics=openmetrics)
        for family in self._instruments.of_ourselves() if part.of_exporter else ():
            if part.has(_name(family)):
                yield _family(family, openmetrics=openmetrics)
        if openmetrics:
            yield b"# EOF\n"

    def _of_servers(self, pages: list[Lines], *, openmetrics: bool) -> Iterator[bytes]:
        """Yield what the servers said; kept, joined, as long as it is the same: of many targets it never is."""
        shapes = defaultdict[Shape, list[tuple[bytes, ...]]](list)
        for lines in pages:
            shapes[lines.shape].append(lines.texts)
        self._learn(shapes)
        kept: list[bytes] = []
        size = 0
        for row, headers in self._rows:
            head = headers[openmetrics]
            for shape, targets in shapes.items():
                if (place := shape.places.get(row)) is None:
                    continue
                for piece in _pieces(targets, itemgetter(place)):
                    yield head + piece
                    if size <= _KEPT:
                        kept.append(head + piece)
                        size += len(head) + len(piece)
                    head = b""
        if size <= _KEPT:
            self._known[openmetrics] = (pages, b"".join(kept))
        else:
            self._known.pop(openmetrics, None)

    def _learn(self, shapes: Iterable[Shape]) -> None:
        """Take in rows that nobody told us of when we were made."""
        for shape in shapes:
            if shape not in self._shapes:
                self._shapes.add(shape)
                known = {row for row, _ in self._rows}
                self._rows += headed(row for row in shape.places if row not in known)


def _pieces(targets: list[T], lines: Callable[[T], bytes]) -> Iterator[bytes]:
    """Join the lines of targets, about as long for one as for another, to pieces of about a block."""
    step = _BLOCK // (len(lines(targets[0])) + 1) + 1
    for begin in range(0, len(targets), step):
        yield b"".join(map(lines, targets[begin : begin + step]))


def _pack(chunks: list[bytes], squeeze: Any) -> bytes:
    block = b"".join(chunks)
    return squeeze.compress(block) if squeeze else block


def _name(family: Collected) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def _family(family: Collected, *, openmetrics: bool) -> bytes:
    """Render a family of the daemon itself; creation times are left out, they double the page."""
    name = _name(family)
    lines = [header(name, family.type, family.documentation, openmetrics=openmetrics)]
    for sample in family.samples:
        if not sample.name.endswith("_created"):
            labels = ",".join([f'{key}="{escape(text)}"' for key, text in sample.labels.items()])
            braces = f"{{{labels}}}" if labels else ""
            lines.append(f"{sample.name}{braces} {number(sample.value)}\n".encode())
    return b"".join(lines)
