"""Faults inside a server: memory, connections, error replies, and data that it cannot save."""

import contextlib
import itertools
import shutil
import socket
from collections.abc import Iterator

import redis

from tests.alerts.environment import Environment, reply_fields, target
from tests.alerts.fault import Fault
from tests.integration.prometheus import eventually


def faults(environment: Environment) -> Iterator[Fault]:
    """Start the servers of these faults, and yield the faults."""
    yield from _memory(environment)
    yield from _connections(environment)
    yield from _errors(environment)
    yield from _disk(environment)


def _memory(environment: Environment) -> Iterator[Fault]:
    full = environment.server("full", maxmemory="3mb", maxmemory_policy="noeviction")
    client = environment.client(full)
    keys = itertools.count()

    def fill() -> None:
        while True:  # until the server replies OOM
            client.set(f"key:{next(keys)}", "x" * 4000)

    filling = environment.repeating_thread(fill)

    def empty() -> None:
        filling.stop()
        full.run("FLUSHALL")

    yield Fault(
        "memory full, noeviction",
        [target("full", full)],
        inject=filling.start,
        heal=empty,
    )
    cache = environment.server("cache", "valkey", maxmemory="4mb", maxmemory_policy="allkeys-lru")
    writer = environment.client(cache)

    def store() -> None:
        pipeline = writer.pipeline(transaction=False)
        for _ in range(100):
            pipeline.set(f"key:{next(keys)}", "x" * 2000)
        pipeline.execute()

    storing = environment.repeating_thread(store)
    yield Fault(
        "cache too small, keys are evicted",
        [target("cache", cache)],
        inject=storing.start,
        heal=storing.stop,
    )


def _connections(environment: Environment) -> Iterator[Fault]:
    server = environment.server("crowded", maxclients="30")
    connections: list[socket.socket] = []

    def join() -> None:
        while len(connections) < 40:
            connections.append(socket.create_connection(("127.0.0.1", server.port), 2))
        connections.pop().close()  # The next call adds one again, and the server rejects it.

    joining = environment.repeating_thread(join)

    def leave() -> None:
        joining.stop()
        for one in connections:
            with contextlib.suppress(OSError):
                one.close()

    yield Fault(
        "maxclients reached",
        [target("crowded", server)],
        inject=joining.start,
        heal=leave,
    )


def _errors(environment: Environment) -> Iterator[Fault]:
    wrong = environment.server("wrongtype")
    client = environment.client(wrong)
    wrong.run("LPUSH", "list", "1")
    reading = environment.repeating_thread(lambda: client.get("list"), 0.02)
    yield Fault(
        "clients use a key of the wrong type (WRONGTYPE)",
        [target("wrongtype", wrong)],
        inject=reading.start,
        heal=reading.stop,
    )
    _, replica = environment.master_and_replica("readonly")
    writer = environment.client(replica)
    writing = environment.repeating_thread(lambda: writer.set("key", "1"), 0.2)
    yield Fault(
        "clients write to a replica",
        [target("readonly", replica)],
        inject=writing.start,
        heal=writing.stop,
    )


def _disk(environment: Environment) -> Iterator[Fault]:
    saving = environment.server("rdb", enable_protected_configs="yes", save="3600 1")
    client = environment.client(saving)
    writing = environment.repeating_thread(lambda: client.set("key", "1"), 0.2)

    def remove_folder() -> None:
        missing = saving.folder / "missing"
        missing.mkdir()
        saving.run("CONFIG", "SET", "dir", str(missing))
        missing.rmdir()
        saving.run("SET", "key", "1")
        saving.run("BGSAVE")
        writing.start()

    def restore_folder() -> None:
        writing.stop()
        saving.run("CONFIG", "SET", "dir", str(saving.folder))
        saving.run("BGSAVE")

    yield Fault(
        "snapshots fail",
        [target("rdb", saving)],
        # A server that cannot save replies MISCONF to PING too.
        inject=remove_folder,
        heal=restore_folder,
    )
    appending = environment.server("aof", "valkey", appendonly="yes", enable_protected_configs="yes")

    def break_folder() -> None:
        folder = appending.folder / "appendonlydir"
        shutil.rmtree(folder)
        folder.write_text("not a folder")  # The server would create a missing folder again.
        with contextlib.suppress(redis.RedisError):
            appending.run("BGREWRITEAOF")

    def rewrite() -> None:
        (appending.folder / "appendonlydir").unlink()

        def well() -> bool:
            with contextlib.suppress(redis.RedisError):  # a rewrite is already running
                appending.run("BGREWRITEAOF")
            return reply_fields(appending, "INFO", "persistence")["aof_last_bgrewrite_status"] == "ok"

        eventually(well, "the append-only file is rewritten", 30)

    yield Fault(
        "append-only file cannot be rewritten",
        [target("aof", appending)],
        inject=break_folder,
        heal=rewrite,
    )
    stale = environment.server("backup", save="3600 100")
    stale.run("SET", "key", "1")
    stale.run("BGSAVE")
    yield Fault(
        "unsaved changes, no snapshot for a long time",
        [target("backup", stale)],
        inject=lambda: stale.run("SET", "key", "2"),
        heal=lambda: stale.run("BGSAVE"),
    )
