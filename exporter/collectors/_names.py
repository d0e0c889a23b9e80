"""The names that scans found: so many of them that have series, and how many there are besides."""

from collections.abc import Iterable

from exporter.collectors._distinct import Distinct
from exporter.collectors._scan import Scan

#: The database of a name, and the name.
Name = tuple[int, bytes]


class Names:
    """The first ``limit`` names of a pass, which are the same in each pass while keys stay, and a count of the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = Distinct(1000)
        self.kept: dict[bytes, None] = {}

    async def take(self, keys: list[bytes]) -> None:
        """Take in what one step found; for ``Scan``."""
        self.take_all(keys)

    def take_all(self, keys: Iterable[bytes]) -> None:
        """Take in some names."""
        for key in keys:
            if key in self.kept:
                continue
            if len(self.kept) < self._limit:
                self.kept[key] = None
            else:
                self._rest.add([key])

    @property
    def more(self) -> int:
        """How many names there were besides."""
        return self._rest.count


def together(scans: Iterable[Scan[Names]], limit: int) -> tuple[list[Name], int]:
    """Return at most ``limit`` different names of all scans, and how many have no place.

    While the first pass of a scan is under way, what it found so far counts: each name is right by itself.
    """
    found: dict[Name, None] = {}
    more = 0
    for scan in scans:
        names = scan.under_way if scan.latest is None else scan.latest
        more += names.more
        found |= dict.fromkeys((scan.at.db, name) for name in names.kept)
    return list(found)[:limit], more + max(0, len(found) - limit)
