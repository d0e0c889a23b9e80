"""What a source is given to work with, and what it did with it."""

from prometheus_client import CollectorRegistry

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import SourceSettings, TargetSettings
from redis_pulse.config.discovery_models import Kind, SourceOptions
from redis_pulse.discovery import SourceContext
from redis_pulse.telemetry import DiscoveryMetrics
from tests.fakes import ManualClock
from tests.harness import target_settings


class RecordingContext:
    """Surroundings that write down what a source tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.instruments = DiscoveryMetrics(self.registry)
        self.clock = ManualClock()
        self.hints = 0
        self.refused: list[str] = []

    def build(self) -> SourceContext:
        return SourceContext(
            self.instruments,
            self.clock,
            ConnectLimiter(),
            request_refresh=self._hint,
            reject=lambda why, what: self.refused.append(f"{why}: {what}"),
            probe_status=lambda _name: None,
        )

    def _hint(self) -> None:
        self.hints += 1


def source_of(kind: Kind, name: str, options: SourceOptions, url: str = "redis://to-be-found") -> SourceSettings:
    """Make the settings of a source with one module, ``prod``."""
    modules = {"prod": target_settings(url, username="exporter")}
    return SourceSettings(kind, name, options, target_settings(url), modules)


def names_and_addresses(targets: list[TargetSettings] | tuple[TargetSettings, ...]) -> list[tuple[str, str]]:
    """Return names and addresses."""
    return [(target.name, target.address) for target in targets]
