"""Faults in the data: a huge key, a forgotten expiry, a growing pattern, and a slot with all the load."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

from tests.alerts.environment import COLLECTORS, Environment, target
from tests.alerts.fault import Fault
from tests.integration.servers import RealServer

#: The collectors of a target whose keys are sampled. The window is the shortest one, so that changes are seen soon.
SAMPLED = {
    "default": False,
    **dict.fromkeys(COLLECTORS, True),
    "keyspace_sample": {"keys_per_second": 300, "server_share": 0.1, "window": "60s"},
}


def faults(environment: Environment) -> Iterator[Fault]:
    """Start the servers of these faults, and yield the faults."""
    yield _huge_key(environment)
    yield _forgotten_expiry(environment)
    yield _growing_pattern(environment)
    yield _hot_slot(environment)


def _set_all(environment: Environment, server: RealServer, keys: int, size: int, seconds: int | None = None) -> None:
    """Write keys with values of this size. They expire after ``seconds``, or never."""
    pipeline = environment.client(server).pipeline(transaction=False)
    for number in range(keys):
        pipeline.set(f"session:{number}", "x" * size, ex=seconds)
    pipeline.execute()


def _sampled(name: str, server: RealServer) -> dict[str, Any]:
    return target(name, server, collectors=SAMPLED)


def _huge_key(environment: Environment) -> Fault:
    server = environment.server("huge-key")
    _set_all(environment, server, 500, 200)
    return Fault(
        "one key of 20 MB among small ones",
        [_sampled("huge-key", server)],
        inject=lambda: server.run("SETRANGE", "archive", 20_000_000, "x"),
        heal=lambda: server.run("FLUSHALL"),
    )


def _forgotten_expiry(environment: Environment) -> Fault:
    server = environment.server("forever", "valkey")

    def store() -> None:
        _set_all(environment, server, 20_000, 50, seconds=3600)
        _set_all(environment, server, 2_000, 50)  # SET without EX removes the expiry

    return Fault(
        "a tenth of the sessions never expires",
        [_sampled("forever", server)],
        inject=store,
        heal=lambda: server.run("FLUSHALL"),
    )


def _growing_pattern(environment: Environment) -> Fault:
    server = environment.server("growing", maxmemory="64mb", maxmemory_policy="noeviction")
    _set_all(environment, server, 2_000, 1000)
    client, keys = environment.client(server), itertools.count(2_000)

    def add() -> None:
        pipeline = client.pipeline(transaction=False)
        for _ in range(40):
            pipeline.set(f"session:{next(keys)}", "x" * 1000)
        pipeline.execute()

    adding = environment.repeating_thread(add)

    def empty() -> None:
        adding.stop()
        server.run("FLUSHALL")

    return Fault(
        "keys of one pattern are added without end",
        [_sampled("growing", server)],
        inject=adding.start,
        heal=empty,
    )


def _hot_slot(environment: Environment) -> Fault:
    config = {"cluster_enabled": "yes", "cluster_slot_stats_enabled": "yes", "cluster_require_full_coverage": "no"}
    server = environment.server("hot-slot", "valkey", **config)
    slot = int(server.run("CLUSTER", "KEYSLOT", "bits"))
    # Few slots: to read all of them takes long on a machine that is busy with the other faults.
    server.run("CLUSTER", "ADDSLOTSRANGE", slot, slot + 99)
    client = environment.client(server)

    def count_bits() -> None:
        until = time.monotonic() + 0.03
        while time.monotonic() < until:
            client.bitcount("bits")

    counting = environment.repeating_thread(count_bits, 0.02)

    def start() -> None:
        client.setrange("bits", 16_000_000, "x")
        counting.start()

    return Fault(
        "all commands use one slot",
        [target("hot-slot", server, collectors=[*COLLECTORS, "slot_stats"])],
        inject=start,
        heal=counting.stop,
    )
