"""Where one master is, according to its Sentinels, how often it has moved, and which number each replica has. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from redis_pulse.discovery.sentinel.replies import MasterReport

#: Seconds for which a former master counts as a replica although no Sentinel lists it as one yet.
HOLD_SECONDS = 30.0


class ElectedMaster(NamedTuple):
    """The address that won, and the highest epoch in which a Sentinel reports it."""

    address: str
    epoch: int


def elect(
    reports: Sequence[MasterReport], known: ElectedMaster | None, members: Collection[str], total: int
) -> ElectedMaster | None:
    """Return where the master is, or None if it stays where it was.

    ``known`` is the result of the last election. ``members`` are the known servers of the set. ``total`` is the number
    of all Sentinels, also of those without a report. The decision table:

    1. Each report is one vote for its address. The epoch of an address is the highest one in its reports.
    2. An address is eligible if one of these holds:

       - No address is known yet, or it is the known address.
       - Its epoch is at least the known epoch.
       - More than half of all Sentinels vote for it. They may begin again at epoch 0 when the set is configured again.

       Reason: a Sentinel that was cut off reports an old configuration.
    3. Of the eligible addresses, the one with the most votes leads. On a tie, the higher epoch leads, then the known
       address, then the greater address. The order of the reports does not matter.
    4. An eligible address with a higher epoch than the leader wins if it belongs to the set. One vote is enough, and
       the highest epoch wins. The servers of the set are ``members``, and the replicas in the reports for the leader.
       Reason: after a failover, one Sentinel reports the new master before the others do. A failover only promotes a
       replica. A Sentinel that watches another set under the same name therefore never wins by its epoch.
    5. If no other address wins, the leader wins. If no address is eligible, the master stays where it was.
    """
    votes = Counter(report.address for report in reports)
    epochs = {address: max(report.epoch for report in reports if report.address == address) for address in votes}
    eligible = [
        address
        for address in votes
        if known is None or address == known.address or epochs[address] >= known.epoch or 2 * votes[address] > total
    ]
    if not eligible:
        return None
    known_address = "" if known is None else known.address
    leader = max(eligible, key=lambda one: (votes[one], epochs[one], one == known_address, one))
    set_members = {
        *members,
        *(replica for report in reports if report.address == leader for replica in report.replicas),
    }
    newer = [address for address in eligible if epochs[address] > epochs[leader] and address in set_members]
    winner = max(newer, key=epochs.__getitem__, default=leader)
    return ElectedMaster(winner, epochs[winner])


class MasterUpdate(NamedTuple):
    """The state of a master after one round of reports."""

    #: ``host:port``
    address: str
    #: how often the master has moved since the last round
    moves: int
    #: addresses by number
    replicas: Mapping[int, str]
    #: how many Sentinels report another address
    disagreeing: int
    #: whether a Sentinel sees enough others to agree on a failover and perform it; None if no Sentinel reports it
    quorum: bool | None
    #: since when the Sentinels that consider the master down have had no reply from it, on the monotonic clock
    silent_since: float | None


class SentinelMaster:
    """One master over time; ``replicas`` are the numbers that its replicas already have."""

    def __init__(self, replicas: Mapping[int, str] | None = None) -> None:
        self._numbers = ReplicaNumbers(replicas)
        self._replicas: Mapping[int, str] = {}
        self._elected: ElectedMaster | None = None
        self._highest_epoch = -1
        self._epoch_expected = False

    def update(self, reports: Sequence[MasterReport], total: int, now: float) -> MasterUpdate | None:
        """Apply the reports of one round, from ``total`` Sentinels; return None until a Sentinel reports an address."""
        before = self._elected
        members = () if before is None else (before.address, *self._replicas.values())
        elected = elect(reports, before, members, total) or before
        if elected is None:
            return None
        self._elected = elected
        moves = self._count_moves(before, elected)
        if before is not None and before.address != elected.address:
            self._numbers.master_moved(before.address, elected.address, now)
        agreeing = [report for report in reports if report.address == elected.address]
        if agreeing:
            self._replicas = self._numbers.assign(_merge_replicas(agreeing), now)
        quorums = [report.quorum for report in reports if report.quorum is not None]
        silences = [report.silent_seconds for report in agreeing if report.silent_seconds is not None]
        return MasterUpdate(
            elected.address,
            moves,
            self._replicas,
            disagreeing=len(reports) - len(agreeing),
            quorum=any(quorums) if quorums else None,
            silent_since=now - max(silences) if silences else None,
        )

    def _count_moves(self, before: ElectedMaster | None, elected: ElectedMaster) -> int:
        """Return how often the master has moved since the last round.

        ===============  ==============================  =====
        address          epoch                           moves
        ===============  ==============================  =====
        the first one    any                             0
        another one      any                             1
        the same         not higher than before          0
        the same         higher, and expected            0
        the same         higher, and not expected        2
        ===============  ==============================  =====

        A Sentinel may report the new address first, and its epoch in a later round. That epoch is expected. An
        unexpected epoch means that the master moved away and back between two rounds.
        """
        is_newer = elected.epoch > self._highest_epoch
        self._highest_epoch = max(self._highest_epoch, elected.epoch)
        if before is None:
            return 0
        if before.address != elected.address:
            self._epoch_expected = not is_newer
            return 1
        if not is_newer:
            return 0
        if self._epoch_expected:
            self._epoch_expected = False
            return 0
        return 2


def _merge_replicas(reports: Sequence[MasterReport]) -> dict[str, str]:
    """Return all replicas as address → run id.

    A Sentinel that has just started may not know a replica, or a run id, that another one knows.
    """
    merged: dict[str, str] = {}
    for report in reports:
        for address, run_id in report.replicas.items():
            merged[address] = merged.get(address) or run_id
    return merged


class ReplicaNumbers:
    """The numbers of the replicas of one master, from 1 on. A replica keeps its number while it keeps its address.

    ``known`` are the numbers that replicas already have.
    """

    def __init__(self, known: Mapping[int, str] | None = None) -> None:
        self._numbers = {address: number for number, address in (known or {}).items()}
        self._held_until: dict[str, float] = {}

    def master_moved(self, old: str, new: str, now: float) -> None:
        """Swap two roles: the former master becomes a replica, with the number of the replica that is master now."""
        freed = self._numbers.pop(new, None)
        if old not in self._numbers:
            self._numbers[old] = self._lowest_free() if freed is None else freed
        self._held_until[old] = now + HOLD_SECONDS

    def assign(self, listed: Mapping[str, str], now: float) -> Mapping[int, str]:
        """Return the addresses of the replicas by number, in numeric order; ``listed`` is address → run id.

        A lost replica frees its number. A new replica takes the lowest free number. The order in which the Sentinels
        list several new replicas does not matter.
        """
        replicas = self._unique_addresses(listed)
        self._held_until = {address: until for address, until in self._held_until.items() if until > now}
        for address in self._numbers.keys() - replicas - self._held_until.keys():
            del self._numbers[address]
        for address in sorted(replicas - self._numbers.keys()):
            self._numbers[address] = self._lowest_free()
        return {number: address for address, number in sorted(self._numbers.items(), key=lambda item: item[1])}

    def _unique_addresses(self, listed: Mapping[str, str]) -> set[str]:
        """Return one address per server, preferably one that has a number.

        Sentinels may list a server by its name and by its IP address. This happens if they resolve names, and a former
        master returns and announces its IP address.
        """
        addresses: dict[str, str] = {}
        for address in sorted(listed, key=lambda one: (one not in self._numbers, one)):
            addresses.setdefault(listed[address] or address, address)
        return set(addresses.values())

    def _lowest_free(self) -> int:
        taken = set(self._numbers.values())
        return next(number for number in range(1, len(taken) + 2) if number not in taken)
