"""Which name a server of a set has: a replica keeps its number while it keeps its address. Pure.

One master over time: where it is, by what its Sentinels say, and how often it moved. Pure.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from redis_pulse.discovery.sentinel.replies import MasterReport

#: Seconds for which a master that was replaced stays a replica although no Sentinel lists it yet as one.
HOLD = 30.0


class ReplicaNumbers:
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


class ElectedMaster(NamedTuple):
    """What most Sentinels, or the newest configuration, say."""

    address: str
    epoch: int


def elect(
    told: Sequence[MasterReport], known: ElectedMaster | None, members: Collection[str], total: int
) -> ElectedMaster | None:
    """Return where the master is, of ``total`` Sentinels that there are; None leaves it where it was.

    Most votes win, and none that is older than what is known, unless most of all Sentinels give it: a Sentinel that was
    cut off is behind. But a failover is told by one Sentinel before the others have heard of it. So a newer
    configuration wins alone, if the server that it names was of this set before (``members``, and the replicas that the
    voters of the other name): a failover promotes no stranger. A Sentinel that watches another set under the same name
    thus never wins, however high its epoch is.
    """
    votes = Counter(one.address for one in told)
    newest = {address: max(one.epoch for one in told if one.address == address) for address in votes}
    may = [
        address
        for address in votes
        if known is None or address == known.address or newest[address] >= known.epoch or 2 * votes[address] > total
    ]
    if not may:
        return None
    now = "" if known is None else known.address
    best = max(may, key=lambda address: (votes[address], newest[address], address == now, address))
    ours = {*members, *(replica for one in told if one.address == best for replica in one.replicas)}
    for address in may:
        if newest[address] > newest[best] and address in ours:
            best = address
    return ElectedMaster(best, newest[best])


class SentinelMaster:
    """What is known of one master."""

    def __init__(self, name: str, replicas: Mapping[int, str] | None = None) -> None:
        self.name = name
        self.numbers = ReplicaNumbers(replicas)
        self.replicas: Mapping[int, str] = {}
        #: Sentinels that name another address than the one that counts
        self.disagreeing = 0
        #: whether some Sentinel sees enough others to agree on a failover and do it; None when none says
        self.quorum: bool | None = None
        #: since when the master has not answered the Sentinels that take it for down, on our clock
        self.silent_since: float | None = None
        self._known: ElectedMaster | None = None
        self._highest = -1
        self._epoch_expected = False

    @property
    def address(self) -> str:
        """``host:port``; empty until a Sentinel has told."""
        return "" if self._known is None else self._known.address

    def update(self, told: Sequence[MasterReport], total: int, now: float) -> int:
        """Take over what Sentinels said just now; return how often the master has moved since it was heard of last.

        What was found first is where it is, and no move.
        """
        before = self._known
        members = () if before is None else (before.address, *self.replicas.values())
        elected = elect(told, before, members, total) or before
        if elected is None:
            return 0
        self._known = elected
        agreeing = [one for one in told if one.address == elected.address]
        self.disagreeing = len(told) - len(agreeing)
        said = [one.quorum for one in told if one.quorum is not None]
        self.quorum = any(said) if said else None
        if before is not None and before.address != elected.address:
            self.numbers.moved(before.address, elected.address, now)
        if agreeing:
            listed: dict[str, str] = {}
            for address, run_id in (replica for one in agreeing for replica in one.replicas.items()):
                listed[address] = listed.get(address) or run_id
            self.replicas = self.numbers.assign(listed, now)
        moves = self._moves(before, elected)
        self._highest = max(self._highest, elected.epoch)
        silences = [one.silent for one in agreeing if one.silent is not None]
        self.silent_since = now - max(silences) if silences else None
        return moves

    def _moves(self, before: ElectedMaster | None, elected: ElectedMaster) -> int:
        if before is None:
            return 0
        if before.address != elected.address:
            # A Sentinel may have told the address just before, and the epoch just after.
            self._epoch_expected = elected.epoch <= self._highest
            return 1
        if elected.epoch <= self._highest:
            return 0
        if self._epoch_expected:
            self._epoch_expected = False
            return 0
        return 2  # there and back since we asked last
