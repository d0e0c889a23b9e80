"""Select a part of the page: one target, some collectors or some names.

A part costs only what it shows, and is not cached.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from redis_pulse.exposition.rendering import Headers
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics, MetricFamily

SpecWithHeaders = tuple[MetricSpec, Headers]
FamilyWithHeaders = tuple[MetricFamily, Headers]


class PageFilter:
    """Selects a part of the page. An argument of None selects everything.

    ``target`` is the name of one target. It leaves out the metrics of the daemon.
    ``collectors`` are the names of the collectors, and ``names`` the names of the families to show.
    ``only`` leaves out the targets (``exporter``) or the daemon (``targets``).
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
    def includes_daemon(self) -> bool:
        """Whether the metrics of the daemon itself are selected."""
        return self._target is None and self._only != "targets"

    def targets(self, metrics: ExporterMetrics) -> Sequence[str]:
        """Return the names of the selected targets."""
        if self._only == "exporter":
            return ()
        return metrics.target_names() if self._target is None else (self._target,)

    def server_families(
        self, store: SampleStore, targets: Sequence[str], specs: Sequence[SpecWithHeaders], *, openmetrics: bool
    ) -> Iterator[bytes]:
        """Yield the metrics that the servers report. Every target is read once, however few metrics are selected."""
        selected = [(spec, headers) for spec, headers in specs if self.matches(spec.full_name)]
        lines: dict[MetricSpec, list[bytes]] = {}
        for target in targets if selected else ():
            for collector, rendered in store.fresh_by_collector(target).items():
                if self._collectors is None or collector in self._collectors:
                    for spec, _ in selected:
                        if spec in rendered:
                            lines.setdefault(spec, []).append(rendered[spec])
            yield b""
        for spec, headers in selected:
            if spec in lines:
                yield headers[openmetrics] + b"".join(lines[spec])

    def target_families(
        self,
        metrics: ExporterMetrics,
        targets: Sequence[str],
        families: Sequence[FamilyWithHeaders],
        *,
        openmetrics: bool,
    ) -> Iterator[bytes]:
        """Yield the metrics that the exporter measures of each target."""
        selected = [(family, headers) for family, headers in families if self.matches(family.name)]
        lines: dict[MetricFamily, list[bytes]] = {}
        for target in targets if selected else ():
            rendered: Mapping[MetricFamily, bytes] = metrics.render_target(target)
            for family, _ in selected:
                if family in rendered:
                    lines.setdefault(family, []).append(rendered[family])
            yield b""
        for family, headers in selected:
            if family in lines:
                yield headers[openmetrics] + b"".join(lines[family])

    def matches(self, name: str) -> bool:
        """Return whether the family of this name is selected."""
        return self._names is None or name in self._names
