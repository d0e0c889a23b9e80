"""A replica keeps its name while it keeps its address; a failover swaps two names and changes no other."""

import itertools
import random
from collections.abc import Iterable

from redis_pulse.discovery.sentinel.master import HOLD_SECONDS, ReplicaNumbers


def with_run_ids(addresses: Iterable[str]) -> dict[str, str]:
    """Return replicas as address → run id."""
    return {address: f"run-id-of-{address}" for address in addresses}


def test_new_replicas_have_the_same_numbers_in_any_order() -> None:
    replicas = ["a:1", "b:1", "c:1"]
    for order in itertools.permutations(replicas):
        assert ReplicaNumbers().assign(with_run_ids(order), 0) == {1: "a:1", 2: "b:1", 3: "c:1"}


def test_replica_keeps_its_number_while_others_change() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(with_run_ids(["b:1", "c:1"]), 0)
    assert numbers.assign(with_run_ids(["a:1", "b:1", "c:1"]), 1) == {1: "b:1", 2: "c:1", 3: "a:1"}
    assert numbers.assign(with_run_ids(["a:1", "c:1"]), 2) == {2: "c:1", 3: "a:1"}
    assert numbers.assign(with_run_ids(["a:1", "c:1", "d:1"]), 3) == {1: "d:1", 2: "c:1", 3: "a:1"}


def test_former_master_has_the_number_of_the_new_one() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(with_run_ids(["b:1", "c:1"]), 0)
    numbers.master_moved("a:1", "b:1", 1)
    assert numbers.assign(with_run_ids(["c:1", "a:1"]), 1) == {1: "a:1", 2: "c:1"}


def test_former_master_stays_until_sentinels_list_it_as_replica() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(with_run_ids(["b:1", "c:1"]), 0)
    numbers.master_moved("a:1", "b:1", 1)
    assert numbers.assign(with_run_ids(["c:1"]), 1) == {1: "a:1", 2: "c:1"}
    assert numbers.assign(with_run_ids(["c:1", "d:1"]), 1 + HOLD_SECONDS) == {1: "d:1", 2: "c:1"}


def test_master_that_was_never_a_replica_frees_no_number() -> None:
    numbers = ReplicaNumbers()
    numbers.assign(with_run_ids(["b:1"]), 0)
    numbers.master_moved("a:1", "x:1", 1)
    assert numbers.assign(with_run_ids(["a:1", "b:1"]), 1) == {1: "b:1", 2: "a:1"}


def test_server_listed_by_name_and_by_address_counts_once() -> None:
    numbers = ReplicaNumbers()
    numbers.assign({"b.internal:1": "id-b"}, 0)
    numbers.master_moved("a.internal:1", "b.internal:1", 1)
    both = {"10.0.0.1:1": "id-a", "a.internal:1": "id-a"}
    assert numbers.assign(both, 2 + HOLD_SECONDS) == {1: "a.internal:1"}
    assert numbers.assign({"10.0.0.1:1": "id-a"}, 3 + HOLD_SECONDS) == {1: "10.0.0.1:1"}


def test_servers_without_run_ids_are_different() -> None:
    assert ReplicaNumbers().assign({"a:1": "", "b:1": ""}, 0) == {1: "a:1", 2: "b:1"}


def test_numbers_are_unique_and_stable_over_a_random_walk() -> None:
    """The walk consists of many failovers, losses and additions."""
    dice = random.Random(7)
    numbers, master, now = ReplicaNumbers(), "s0:1", 0.0
    alive = {f"s{n}:1" for n in range(5)}
    before = dict(numbers.assign(with_run_ids(alive - {master}), now))
    for _ in range(2000):
        now += dice.choice([0.1, 1.0, HOLD_SECONDS])
        if dice.random() < 0.3:
            new = dice.choice(sorted(alive - {master}))
            numbers.master_moved(master, new, now)
            moved, master = {master, new}, new
        else:
            moved = set()
            alive = {master, *dice.sample([f"s{n}:1" for n in range(9)], 4)}
            alive = alive if len(alive) > 1 else {master, "s1:1" if master != "s1:1" else "s2:1"}
        after = dict(numbers.assign(with_run_ids(alive - {master}), now))
        assert set(after.values()) >= alive - {master}
        assert master not in after.values()
        assert len(set(after.values())) == len(after)
        for number, address in before.items():
            if address in alive and address not in moved:
                assert after[number] == address
        before = after
