"""The kinds of sources: what makes each of its settings and surroundings."""

from collections.abc import Callable

from exporter.config import SourceSettings
from exporter.discovery.base import Source, Surroundings

#: By ``SourceSettings.kind``; each imports its file only when one of its kind is configured.
MAKERS: dict[str, Callable[[SourceSettings, Surroundings], Source]] = {}
