"""What a source is given to work with, and what it did with it."""

from prometheus_client import CollectorRegistry

from redis_pulse.client import Ramp
from redis_pulse.config import SourceSettings, TargetSettings
from redis_pulse.config.discovery_models import Kind, SourceOptions
from redis_pulse.discovery import Surroundings
from redis_pulse.telemetry import DiscoveryInstruments
from tests.fakes import HandClock
from tests.harness import settings


class Around:
    """Surroundings that write down what a source tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.instruments = DiscoveryInstruments(self.registry)
        self.clock = HandClock()
        self.hints = 0
        self.refused: list[str] = []

    def lend(self) -> Surroundings:
        return Surroundings(
            self.instruments,
            self.clock,
            Ramp(),
            hint=self._hint,
            refuse=lambda why, what: self.refused.append(f"{why}: {what}"),
            feeling=lambda _name: None,
        )

    def _hint(self) -> None:
        self.hints += 1


def source_of(kind: Kind, name: str, options: SourceOptions, url: str = "redis://to-be-found") -> SourceSettings:
    """Make the settings of a source with one module, ``prod``."""
    modules = {"prod": settings(url, username="exporter")}
    return SourceSettings(kind, name, options, settings(url), modules)


def shown(targets: list[TargetSettings] | tuple[TargetSettings, ...]) -> list[tuple[str, str]]:
    """Return names and addresses."""
    return [(target.name, target.address) for target in targets]
