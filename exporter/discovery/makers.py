"""The kinds of sources: what makes each of its settings and surroundings.

Each imports its file only when one of its kind is configured: most daemons need none, and start the sooner.
"""

from collections.abc import Callable

from exporter.config import SourceSettings
from exporter.discovery.base import Source, Surroundings


def _file(settings: SourceSettings, surroundings: Surroundings) -> Source:
    from exporter.discovery.files import FilesSource

    return FilesSource(settings, surroundings)


def _http(settings: SourceSettings, surroundings: Surroundings) -> Source:
    from exporter.discovery.http import HttpTargets

    return HttpTargets(settings, surroundings)


def _dns(settings: SourceSettings, surroundings: Surroundings) -> Source:
    from exporter.discovery.dns_records import DnsTargets

    return DnsTargets(settings, surroundings)


def _cluster(settings: SourceSettings, surroundings: Surroundings) -> Source:
    from exporter.discovery.cluster import Cluster

    return Cluster(settings, surroundings)


def _sentinel(settings: SourceSettings, surroundings: Surroundings) -> Source:
    from exporter.discovery.sentinel import SentinelSource

    return SentinelSource(settings, surroundings)


#: By ``SourceSettings.kind``.
MAKERS: dict[str, Callable[[SourceSettings, Surroundings], Source]] = {
    "file": _file,
    "http": _http,
    "dns": _dns,
    "cluster": _cluster,
    "sentinel": _sentinel,
}
