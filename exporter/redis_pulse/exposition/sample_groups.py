"""Keep the samples of many targets compressed in groups, so that a page only puts blocks one after the other.

A target that was polled is loose, and its lines are text. Targets that were polled one after the other become a group.
The lines of each family of these targets are compressed to blocks. When one of them is polled again, it is loose again,
and the group is broken. The others are left over. Targets are polled in the same order again and again. So they are
grouped in this order (``poll_order``), and only one or two groups are broken at a time.

A page shows the newest samples: it compresses what is in no group.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence

from redis_pulse.deflate import STEP, Block, compress
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import RowLayout, SampleStore
from redis_pulse.slices import SharedTurns
from redis_pulse.telemetry import ExporterMetrics, MetricFamily
from redis_pulse.telemetry.exporter_metrics import render_stamps

#: Targets of a group. More would make shorter pages, and each poll would compress more lines.
GROUP_SIZE = 50
#: Loose targets at which a group is made. The newest of them may be in the middle of a poll.
MAX_LOOSE = GROUP_SIZE + 8
#: Targets of a page that are in no group. To compress their lines for the page takes half of the time that groups take.
#: Most of them are left over, and are polled next. With more of them the page makes groups, because of the memory.
MAX_LOOSE_OF_PAGE = 5 * GROUP_SIZE // 2
#: Fewer targets are never grouped. Their lines are compressed for each page, in some milliseconds.
MIN_FLEET = MAX_LOOSE_OF_PAGE
#: Seconds after a page of all targets for which groups are made in the background. A daemon whose targets are scraped
#: one by one makes none.
WANTED_SECONDS = 600.0
#: Seconds of work in the background after which the event loop gets a turn.
BACKGROUND_SLICE = 0.0005
#: Seconds after which the work in the background looks again whether a page is being built or sent.
PAUSE = 0.005


class _Quiet:
    """The lines of one family of the exporter's own that no ping changes: a hash of them, and their blocks."""

    __slots__ = ("blocks", "digest")

    def __init__(self, digest: int, blocks: Sequence[Block]) -> None:
        self.digest, self.blocks = digest, blocks


class SampleGroup:
    """The compressed lines of some targets."""

    __slots__ = (
        "__weakref__",
        "blocks",
        "collectors",
        "expires",
        "is_broken",
        "is_ready",
        "layouts",
        "members",
        "quiet",
        "quiet_versions",
        "stamps",
    )

    def __init__(self, members: Sequence[str]) -> None:
        self.members = tuple(members)
        #: of the samples of the servers
        self.blocks: dict[MetricSpec, Sequence[Block]] = {}
        #: the metrics of its collectors
        self.layouts: list[RowLayout] = []
        #: from which collector each of them is
        self.collectors: dict[MetricSpec, str] = {}
        #: of what the exporter measured and no ping changes, and the versions of it
        self.quiet: dict[MetricFamily, _Quiet] = {}
        self.quiet_versions: list[int] = []
        #: of the times of the polls
        self.stamps: Sequence[Block] = ()
        #: when the first of these samples is too old to be served, by the clock of the store
        self.expires = float("inf")
        self.is_ready = self.is_broken = False


class SampleGroups:
    """All targets of the page: those in groups, and the loose ones."""

    def __init__(
        self, store: SampleStore, metrics: ExporterMetrics, turns: SharedTurns, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._turns = turns
        self._clock = clock
        self._groups: dict[SampleGroup, None] = {}
        self._group_of: dict[str, SampleGroup] = {}
        #: loose targets, the one that has changed last at the end
        self._loose: dict[str, None] = {}
        #: targets that are in no group, and have not changed since
        self._left: dict[str, None] = {}
        #: Returns what the names of targets are sorted by, so that they are in the order of their polls.
        #: The owner of the polls sets it.
        self.poll_order: Callable[[str], tuple[float, float]] = lambda _target: (0.0, 0.0)
        self._apart: frozenset[str] = frozenset()
        self._work: Iterator[None] | None = None
        self._wanted_until = store.now() + WANTED_SECONDS
        store.on_change = self._changed

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._groups)

    def prepare(self) -> Generator[None, None, tuple[list[SampleGroup], list[str]]]:
        """Group what is loose, in slices. Return the groups, and the targets that are in none of them."""
        self._note_apart()
        self._wanted_until = self._store.now() + WANTED_SECONDS
        known = self._metrics.target_names()
        self._left |= dict.fromkeys(name for name in known if name not in self._group_of and name not in self._loose)
        yield
        for group in tuple(self._groups):
            if group.is_broken or (group.is_ready and group.expires < self._store.now()):
                self._dissolve(group)
        for name in [name for name in self._loose if not self._exists(name)]:
            del self._loose[name]
        self._left = {name: None for name in self._left if self._exists(name)}
        if len(self._loose) + len(self._left) + len(self._group_of) < MIN_FLEET:
            for group in tuple(self._groups):
                self._dissolve(group)
        elif len(self._loose) + len(self._left) >= MAX_LOOSE_OF_PAGE:
            yield from self._group_what_is_left()
            while len(self._loose) >= MAX_LOOSE:
                yield from self._group(self._oldest())
        groups = [group for group in self._groups if group.is_ready and not group.is_broken]
        others = [group for group in self._groups if not (group.is_ready and not group.is_broken)]
        in_progress = [name for group in others for name in group.members if self._group_of.get(name) is group]
        return groups, [*in_progress, *(name for name in (*self._loose, *self._left) if name not in self._apart)]

    def update_quiet(self, group: SampleGroup) -> Generator[None, None, None]:
        """Compress what the exporter measured of a group again, as far as it has changed. No ping changes it."""
        metrics = self._metrics
        versions = [metrics.quiet_version(name) for name in group.members]
        if versions == group.quiet_versions:
            return
        texts = defaultdict[MetricFamily, list[bytes]](list)
        for name in group.members:
            for family, text in metrics.render_quiet(name).items():
                texts[family].append(text)
            yield
        quiet: dict[MetricFamily, _Quiet] = {}
        for family, lines in texts.items():
            digest = hash(tuple(lines))
            known = group.quiet.get(family)
            if known is None or known.digest != digest:
                known = _Quiet(digest, (yield from compress(b"".join(lines))))
            quiet[family] = known
        for name in group.members:
            metrics.drop_quiet_lines(name)
        group.quiet, group.quiet_versions = quiet, versions

    def _exists(self, name: str) -> bool:
        return name in self._metrics or name in self._store

    def _changed(self, name: str) -> None:
        """Note that the samples of a target are new, or dropped."""
        if (group := self._group_of.pop(name, None)) is not None:
            group.is_broken = True
        self._left.pop(name, None)
        self._loose.pop(name, None)
        self._loose[name] = None
        if len(self._loose) >= MAX_LOOSE and self._work is None:
            self._start()

    def _note_apart(self) -> None:
        """Leave out targets that are scraped apart, and keep their samples compressed too."""
        if (apart := self._metrics.scraped_apart) != self._apart:
            for name in apart ^ self._apart:
                self._changed(name)
            self._apart = apart

    def _start(self) -> None:
        """Make groups in the background, if enough targets are loose. It takes no task."""
        if self._store.target_count < MIN_FLEET:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # without a loop no page is made
            return
        self._work = self._in_background()
        loop.call_soon(self._advance, loop)

    def _in_background(self) -> Iterator[None]:
        while len(self._loose) >= MAX_LOOSE:
            names = self._oldest()
            if self._store.now() < self._wanted_until:
                yield from self._group(names)
            else:
                for name in names:
                    yield from self._store.pack(name)

    def _advance(self, loop: asyncio.AbstractEventLoop) -> None:
        work, began = self._work, self._clock()
        if work is None:
            return
        if self._turns.has_page:
            loop.call_later(PAUSE, self._advance, loop)
            return
        try:
            for _ in work:
                if self._clock() - began > BACKGROUND_SLICE:
                    loop.call_soon(self._advance, loop)
                    return
        except BaseException:
            self._work = None
            raise
        self._work = None

    def _oldest(self) -> list[str]:
        """Take the loose targets that have waited for the longest time."""
        names: list[str] = []
        for name in tuple(self._loose):
            del self._loose[name]
            names.append(name)
            if len(names) == GROUP_SIZE:
                break
        return names

    def _group_what_is_left(self) -> Iterator[None]:
        """Make groups of targets that are polled one after the other. Fewer than a group stay."""
        in_order = sorted(self._left, key=self.poll_order)
        for start in range(0, len(in_order) - GROUP_SIZE + 1, GROUP_SIZE):
            names = [name for name in in_order[start : start + GROUP_SIZE] if name in self._left]
            for name in names:
                del self._left[name]
            yield from self._group(names)

    def _dissolve(self, group: SampleGroup) -> None:
        """Let a group end. Its members are left over, except those that are loose already."""
        self._groups.pop(group, None)
        for name in group.members:
            if self._group_of.get(name) is group:
                del self._group_of[name]
                self._left[name] = None

    def _group(self, names: Sequence[str]) -> Iterator[None]:
        """Make a group, in steps. If one of its targets changes meanwhile, the group is broken, as later."""
        apart = self._metrics.scraped_apart
        group = SampleGroup([name for name in names if name not in apart and self._exists(name)])
        for name in group.members:
            self._group_of[name] = group
        self._groups[group] = None
        try:
            if group.members:
                yield from self._compress_samples(group)
                yield from self.update_quiet(group)
                group.is_ready = True
            for name in names:
                yield from self._store.pack(name)
        finally:
            if not group.is_ready:  # it has no members, or its maker was cancelled
                self._dissolve(group)

    def _compress_samples(self, group: SampleGroup) -> Iterator[None]:
        by_layout = defaultdict[tuple[str, RowLayout], list[tuple[bytes, ...]]](list)
        stamps: list[str] = []
        for name in group.members:
            group.expires = min(group.expires, self._store.fresh_until(name))
            for collector, rendered in self._store.fresh_by_collector(name).items():
                by_layout[collector, rendered.layout].append(rendered.texts)
            stamps += [render_stamps(name, collectors, times) for _, collectors, _, times in self._store.times(name)]
            yield
        texts = defaultdict[MetricSpec, list[bytes]](list)
        for (collector, layout), rows in by_layout.items():
            group.layouts.append(layout)
            for spec, column in zip(layout.positions, zip(*rows, strict=True), strict=True):
                group.collectors[spec] = collector
                texts[spec] += column
            yield
        size = 0
        for spec, lines in texts.items():
            text = b"".join(lines)
            group.blocks[spec] = yield from compress(text)
            size += len(text)
            if size >= STEP:
                yield
                size = 0
        group.stamps = yield from compress("".join(stamps).encode())
