"""The context of a source, which records what the source reports."""

from prometheus_client import CollectorRegistry

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import SourceSettings, TargetSettings
from redis_pulse.config.discovery_models import Kind, SourceOptions
from redis_pulse.discovery import SourceContext
from redis_pulse.telemetry import DiscoveryMetrics
from tests.fakes import ManualClock
from tests.harness import target_settings


class RecordingContext:
    """Builds contexts, and records refresh requests and rejections."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = DiscoveryMetrics(self.registry)
        self.clock = ManualClock()
        self.refresh_requests = 0
        self.rejected: list[str] = []
        self.rejected_count = 0
        self.max_targets = 2000
        #: the names of this shard; None for all
        self.owned: set[str] | None = None

    def build(self) -> SourceContext:
        return SourceContext(
            self.metrics,
            self.clock,
            ConnectLimiter(),
            request_refresh=self._request_refresh,
            reject=self._reject,
            probe_status=lambda _name: None,
            owns=lambda name: self.owned is None or name in self.owned,
            max_targets=lambda: self.max_targets,
        )

    def _reject(self, reason: str, description: str, count: int = 1, /) -> None:
        self.rejected.append(f"{reason}: {description}")
        self.rejected_count += count

    def _request_refresh(self) -> None:
        self.refresh_requests += 1


def source_of(kind: Kind, name: str, options: SourceOptions, url: str = "redis://placeholder") -> SourceSettings:
    """Return the settings of a source with one module, ``prod``."""
    modules = {"prod": target_settings(url, username="exporter")}
    return SourceSettings(kind, name, options, target_settings(url), modules)


def names_and_addresses(targets: list[TargetSettings] | tuple[TargetSettings, ...]) -> list[tuple[str, str]]:
    return [(target.name, target.address) for target in targets]
