"""A replica keeps its name while it keeps its address, and a failover swaps two names and no more."""

import itertools
import random
from collections.abc import Iterable

from redis_pulse.discovery.sentinel.master import HOLD, ReplicaNumbers


def of(addresses: Iterable[str]) -> dict[str, str]:
    """Make a list of replicas, each with a run id."""
    return {address: f"run-id-of-{address}" for address in addresses}


def test_new_replicas_are_numbered_alike_in_whatever_order_they_are_named() -> None:
    replicas = ["a:1", "b:1", "c:1"]
    for order in itertools.permutations(replicas):
        assert ReplicaNumbers().assign(of(order), 0) == {1: "a:1", 2: "b:1", 3: "c:1"}


def test_a_replica_keeps_its_number_when_others_come_and_go() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(of(["b:1", "c:1"]), 0)
    assert numbers.assign(of(["a:1", "b:1", "c:1"]), 1) == {1: "b:1", 2: "c:1", 3: "a:1"}
    assert numbers.assign(of(["a:1", "c:1"]), 2) == {2: "c:1", 3: "a:1"}
    assert numbers.assign(of(["a:1", "c:1", "d:1"]), 3) == {1: "d:1", 2: "c:1", 3: "a:1"}


def test_after_a_failover_the_old_master_has_the_number_of_the_new_one() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(of(["b:1", "c:1"]), 0)
    numbers.moved("a:1", "b:1", 1)
    assert numbers.assign(of(["c:1", "a:1"]), 1) == {1: "a:1", 2: "c:1"}


def test_the_old_master_stays_while_the_sentinels_have_not_listed_it_as_a_replica_yet() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(of(["b:1", "c:1"]), 0)
    numbers.moved("a:1", "b:1", 1)
    assert numbers.assign(of(["c:1"]), 1) == {1: "a:1", 2: "c:1"}
    assert numbers.assign(of(["c:1", "d:1"]), 1 + HOLD) == {1: "d:1", 2: "c:1"}


def test_a_master_that_was_never_a_replica_takes_no_number_away() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(of(["b:1"]), 0)
    numbers.moved("a:1", "x:1", 1)
    assert numbers.assign(of(["a:1", "b:1"]), 1) == {1: "b:1", 2: "a:1"}


def test_a_server_that_is_listed_by_its_name_and_by_its_address_is_one() -> None:
    numbers = ReplicaNumbers()
    numbers.assign({"b.internal:1": "id-b"}, 0)
    numbers.moved("a.internal:1", "b.internal:1", 1)
    both = {"10.0.0.1:1": "id-a", "a.internal:1": "id-a"}
    assert numbers.assign(both, 2 + HOLD) == {1: "a.internal:1"}
    assert numbers.assign({"10.0.0.1:1": "id-a"}, 3 + HOLD) == {1: "10.0.0.1:1"}


def test_servers_whose_run_id_is_not_known_are_not_one() -> None:
    assert ReplicaNumbers().assign({"a:1": "", "b:1": ""}, 0) == {1: "a:1", 2: "b:1"}


def test_no_two_replicas_ever_share_a_number_and_none_changes_it_while_it_is_listed() -> None:
    """A long walk of failovers, losses and additions."""
    dice = random.Random(7)
    numbers, master, now = ReplicaNumbers(), "s0:1", 0.0
    alive = {f"s{n}:1" for n in range(5)}
    before = dict(numbers.assign(of(alive - {master}), now))
    for _ in range(2000):
        now += dice.choice([0.1, 1.0, HOLD])
        if dice.random() < 0.3:
            new = dice.choice(sorted(alive - {master}))
            numbers.moved(master, new, now)
            moved, master = {master, new}, new
        else:
            moved = set()
            alive = {master, *dice.sample([f"s{n}:1" for n in range(9)], 4)}
            alive = alive if len(alive) > 1 else {master, "s1:1" if master != "s1:1" else "s2:1"}
        after = dict(numbers.assign(of(alive - {master}), now))
        assert set(after.values()) >= alive - {master}
        assert master not in after.values()
        assert len(set(after.values())) == len(after)
        for number, address in before.items():
            if address in alive and address not in moved:
                assert after[number] == address
        before = after
