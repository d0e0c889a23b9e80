"""A part of the page: one target, or some collectors, or some names. It costs what it shows, and is not kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics, MetricFamily

#: A row or a family, with its header by whether the page is OpenMetrics.
Headed = tuple[MetricSpec, dict[bool, bytes]]
HeadedFamily = tuple[MetricFamily, dict[bool, bytes]]


class PageFilter:
    """What is wanted; None is everything.

    ``target`` is the name of one target, without the daemon itself; ``collectors`` are those whose findings are shown,
    ``names`` those of families; ``only`` leaves out the targets (``exporter``) or the daemon itself (``targets``).
    """

    def __init__(
        self,
        target: str | None = None,
        collectors: frozenset[str] | None = None,
        names: frozenset[str] | None = None,
        only: Literal["exporter", "targets"] | None = None,
    ) -> None:
        self._target = target
        self._collectors = collectors
        self._names = names
        self._only = only

    @property
    def of_exporter(self) -> bool:
        """Whether what the daemon says of itself is wanted."""
        return self._target is None and self._only != "targets"

    def targets(self, instruments: ExporterMetrics) -> Sequence[str]:
        """Return the names of the targets that are wanted."""
        if self._only == "exporter":
            return ()
        return instruments.target_names() if self._target is None else (self._target,)

    def server_families(
        self, store: SampleStore, targets: Sequence[str], rows: Sequence[Headed], *, openmetrics: bool
    ) -> Iterator[bytes]:
        """Yield what the servers said; looks at every target once, however few rows are wanted."""
        wanted = [(row, headers) for row, headers in rows if self.matches(row.full_name)]
        found: dict[MetricSpec, list[bytes]] = {}
        for target in targets if wanted else ():
            for collector, lines in store.fresh_by_collector(target).items():
                if self._collectors is None or collector in self._collectors:
                    for row, _ in wanted:
                        if row in lines:
                            found.setdefault(row, []).append(lines[row])
            yield b""
        for row, headers in wanted:
            if row in found:
                yield headers[openmetrics] + b"".join(found[row])

    def exporter_families(
        self,
        instruments: ExporterMetrics,
        targets: Sequence[str],
        families: Sequence[HeadedFamily],
        *,
        openmetrics: bool,
    ) -> Iterator[bytes]:
        """Yield what we count of the targets."""
        wanted = [(family, headers) for family, headers in families if self.matches(family.name)]
        found: dict[MetricFamily, list[bytes]] = {}
        for target in targets if wanted else ():
            lines: Mapping[MetricFamily, bytes] = instruments.render_target(target)
            for family, _ in wanted:
                if family in lines:
                    found.setdefault(family, []).append(lines[family])
            yield b""
        for family, headers in wanted:
            if family in found:
                yield headers[openmetrics] + b"".join(found[family])

    def matches(self, name: str) -> bool:
        """Whether a family is wanted."""
        return self._names is None or name in self._names
