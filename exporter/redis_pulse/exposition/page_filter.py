"""Select a part of the page: one target, some collectors or some names.

A part costs only what it shows. Equal requests share it while it is built.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from redis_pulse.exposition.rendering import Headers
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics, MetricFamily

SpecWithHeaders = tuple[MetricSpec, Headers]
FamilyWithHeaders = tuple[MetricFamily, Headers]


@dataclass(frozen=True, slots=True)
class PageFilter:
    """Selects a part of the page. An argument of None selects everything.

    ``target`` is the name of one target. It leaves out the metrics of the daemon.
    ``collectors`` are the names of the collectors, and ``names`` the names of the families to show.
    ``only`` leaves out the targets (``exporter``) or the daemon (``targets``).
    """

    target: str | None = None
    collectors: frozenset[str] | None = None
    names: frozenset[str] | None = None
    only: Literal["exporter", "targets"] | None = None

    @property
    def includes_daemon(self) -> bool:
        """Whether the metrics of the daemon itself are selected."""
        return self.target is None and self.only != "targets"

    @property
    def is_short(self) -> bool:
        """Whether at most one target is selected."""
        return self.target is not None or self.only == "exporter"

    def targets(self, metrics: ExporterMetrics) -> Sequence[str]:
        """Return the names of the selected targets."""
        if self.only == "exporter":
            return ()
        return metrics.target_names() if self.target is None else (self.target,)

    def server_families(
        self, store: SampleStore, targets: Sequence[str], specs: Sequence[SpecWithHeaders], *, openmetrics: bool
    ) -> Iterator[bytes]:
        """Yield the metrics that the servers report. Every target is read once, however few metrics are selected."""
        selected = {spec: headers for spec, headers in specs if self.matches(spec.full_name)}
        lines: dict[MetricSpec, list[bytes]] = {}
        for target in targets if selected else ():
            for collector, rendered in store.fresh_by_collector(target).items():
                if self.collectors is None or collector in self.collectors:
                    matching = [spec for spec in rendered if spec in selected]
                    samples = rendered.reader() if matching else rendered
                    for spec in matching:
                        lines.setdefault(spec, []).append(samples[spec])
            yield b""
        for spec, headers in selected.items():
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
            rendered: Mapping[MetricFamily, bytes] = metrics.render_target(target, openmetrics=openmetrics)
            for family, _ in selected:
                if family in rendered:
                    lines.setdefault(family, []).append(rendered[family])
            yield b""
        for family, headers in selected:
            if family in lines:
                yield headers[openmetrics] + b"".join(lines[family])

    def matches(self, name: str) -> bool:
        """Return whether the family of this name is selected."""
        return self.names is None or name in self.names
