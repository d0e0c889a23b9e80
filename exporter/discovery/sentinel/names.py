"""Which name a server of a set has: a replica keeps its number while it keeps its address. Pure."""

from collections.abc import Mapping

#: Seconds for which a master that was replaced stays a replica although no Sentinel lists it yet as one.
HOLD = 30.0


class Numbers:
    """The numbers of the replicas of one master, from 1 on; ``known`` are those that they had before."""

    def __init__(self, known: Mapping[int, str] | None = None) -> None:
        self._numbers = {address: number for number, address in (known or {}).items()}
        self._held: dict[str, float] = {}

    def moved(self, old: str, new: str, now: float) -> None:
        """Take note that the master moved: the one that was takes over the number of the replica that it is now."""
        freed = self._numbers.pop(new, None)
        if old not in self._numbers:
            self._numbers[old] = self._lowest() if freed is None else freed
        self._held[old] = now + HOLD

    def assign(self, listed: Mapping[str, str], now: float) -> Mapping[int, str]:
        """Return the addresses of the replicas by number, in the order of the numbers; ``listed`` is address → run id.

        One that is gone frees its number; one that is new takes the lowest that is free, whatever the order in which
        several new ones are named.
        """
        replicas = self._once(listed)
        self._held = {address: until for address, until in self._held.items() if until > now}
        for address in self._numbers.keys() - replicas - self._held.keys():
            del self._numbers[address]
        for address in sorted(replicas - self._numbers.keys()):
            self._numbers[address] = self._lowest()
        return {number: address for address, number in sorted(self._numbers.items(), key=lambda item: item[1])}

    def _once(self, listed: Mapping[str, str]) -> set[str]:
        """Return one address of each server, the one that has a number: Sentinels may list a name and an IP address.

        They do so when they resolve names and an old master comes back, which announces its IP address.
        """
        addresses: dict[str, str] = {}
        for address in sorted(listed, key=lambda one: (one not in self._numbers, one)):
            addresses.setdefault(listed[address] or address, address)
        return set(addresses.values())

    def _lowest(self) -> int:
        taken = set(self._numbers.values())
        return next(number for number in range(1, len(taken) + 2) if number not in taken)
