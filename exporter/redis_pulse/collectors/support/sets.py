"""The sets of collectors that a configuration may name: ``default`` and ``lean``."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from redis_pulse.collectors import LEAN, Collector

_NAMES = ("default", "lean")


class CollectorSets(Mapping[str, Sequence[str]]):
    """The collectors of each set. ``load()`` imports all collectors, so it runs only when ``default`` is read."""

    def __init__(self, load: Callable[[], Mapping[str, Collector]]) -> None:
        self._load = load

    def __getitem__(self, name: str) -> Sequence[str]:
        """Return the collectors of a set. Raises KeyError."""
        if name == "default":
            return [member for member, collector in self._load().items() if collector.default]
        if name == "lean":
            return LEAN
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the sets."""
        return iter(_NAMES)

    def __len__(self) -> int:
        """Return the number of sets."""
        return len(_NAMES)
