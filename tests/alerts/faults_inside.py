"""Faults within a server: memory, connections, errors that it answers, what it cannot save."""

import contextlib
import itertools
import shutil
import socket
from collections.abc import Iterator

import redis

from tests.alerts.environment import Stage, says, target
from tests.alerts.fault import Fault
from tests.integration.prometheus import eventually


def faults(stage: Stage) -> Iterator[Fault]:
    """Build their servers, and yield them."""
    yield from _memory(stage)
    yield from _connections(stage)
    yield from _errors(stage)
    yield from _disk(stage)


def _memory(stage: Stage) -> Iterator[Fault]:
    full = stage.server("full", maxmemory="3mb", maxmemory_policy="noeviction")
    small = stage.client(full)
    keys = itertools.count()

    def fill() -> None:
        while True:  # until it answers OOM
            small.set(f"key:{next(keys)}", "x" * 4000)

    filling = stage.loop(fill)

    def empty() -> None:
        filling.stop()
        full.run("FLUSHALL")

    yield Fault(
        "memory full, noeviction",
        [target("full", full)],
        inject=filling.start,
        heal=empty,
    )
    cache = stage.server("cache", "valkey", maxmemory="4mb", maxmemory_policy="allkeys-lru")
    writer = stage.client(cache)

    def store() -> None:
        pipeline = writer.pipeline(transaction=False)
        for _ in range(100):
            pipeline.set(f"key:{next(keys)}", "x" * 2000)
        pipeline.execute()

    storing = stage.loop(store)
    yield Fault(
        "a cache that is too small, evicting",
        [target("cache", cache)],
        inject=storing.start,
        heal=storing.stop,
    )


def _connections(stage: Stage) -> Iterator[Fault]:
    crowded = stage.server("crowded", maxclients="30")
    crowd: list[socket.socket] = []

    def join() -> None:
        while len(crowd) < 40:
            crowd.append(socket.create_connection(("127.0.0.1", crowded.port), 2))
        crowd.pop().close()  # and one more comes, and is refused, each time

    joining = stage.loop(join)

    def leave() -> None:
        joining.stop()
        for one in crowd:
            with contextlib.suppress(OSError):
                one.close()

    yield Fault(
        "maxclients reached",
        [target("crowded", crowded)],
        inject=joining.start,
        heal=leave,
    )


def _errors(stage: Stage) -> Iterator[Fault]:
    wrong = stage.server("wrongtype")
    client = stage.client(wrong)
    wrong.run("LPUSH", "list", "1")
    asking = stage.loop(lambda: client.get("list"), 0.02)
    yield Fault(
        "clients use a key wrongly (WRONGTYPE)",
        [target("wrongtype", wrong)],
        inject=asking.start,
        heal=asking.stop,
    )
    _, replica = stage.pair("readonly")
    writer = stage.client(replica)
    writing = stage.loop(lambda: writer.set("key", "1"), 0.2)
    yield Fault(
        "clients write to a replica",
        [target("readonly", replica)],
        inject=writing.start,
        heal=writing.stop,
    )


def _disk(stage: Stage) -> Iterator[Fault]:
    saving = stage.server("rdb", enable_protected_configs="yes", save="3600 1")
    client = stage.client(saving)
    writing = stage.loop(lambda: client.set("key", "1"), 0.2)

    def lose() -> None:
        gone = saving.folder / "gone"
        gone.mkdir()
        saving.run("CONFIG", "SET", "dir", str(gone))
        gone.rmdir()
        saving.run("SET", "key", "1")
        saving.run("BGSAVE")
        writing.start()

    def find() -> None:
        writing.stop()
        saving.run("CONFIG", "SET", "dir", str(saving.folder))
        saving.run("BGSAVE")

    yield Fault(
        "snapshots fail",
        [target("rdb", saving)],
        # A server that cannot save answers MISCONF to PING, too.
        inject=lose,
        heal=find,
    )
    appending = stage.server("aof", "valkey", appendonly="yes", enable_protected_configs="yes")

    def unlink() -> None:
        folder = appending.folder / "appendonlydir"
        shutil.rmtree(folder)
        folder.write_text("no folder any more")  # a missing one is made anew
        with contextlib.suppress(redis.RedisError):
            appending.run("BGREWRITEAOF")

    def rewrite() -> None:
        (appending.folder / "appendonlydir").unlink()

        def well() -> bool:
            with contextlib.suppress(redis.RedisError):  # one is running
                appending.run("BGREWRITEAOF")
            return says(appending, "INFO", "persistence")["aof_last_bgrewrite_status"] == "ok"

        eventually(well, "the append-only file is rewritten", 30)

    yield Fault(
        "the append-only file cannot be rewritten",
        [target("aof", appending)],
        inject=unlink,
        heal=rewrite,
    )
    stale = stage.server("backup", save="3600 100")
    stale.run("SET", "key", "1")
    stale.run("BGSAVE")
    yield Fault(
        "changes, and no snapshot for long",
        [target("backup", stale)],
        inject=lambda: stale.run("SET", "key", "2"),
        heal=lambda: stale.run("BGSAVE"),
    )
