"""Record what a real server answers about keys, streams and scripts, for tests that need no server:

    python -m tests.replies.record_keys /usr/bin/redis-server

With the path of the search module as a second argument, what FT.INFO answers becomes ``search.json`` of that server.

Writes ``keys.json`` into ``tests/replies/<server>-<version>/``: ``{"TYPE string": …, "XINFO STREAM orders": …}``, with
an error reply as ``{"error": text}`` and bytes that are no UTF-8 as ``{"hex": …}``.
"""

import contextlib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import redis

from tests.replies.record import start

HERE = Path(__file__).parent
SCRIPT = "return {'orders', redis.call('XLEN', 'orders'), 'half', '0.5'}"
WRITING = "return redis.call('SET', 'k', 'v')"
KEYS = ("string", "list", "set", "zset", "hash", "orders", "log", "counted", "stale", "number", "missing")

Asked = tuple[str | int | bytes, ...]


def fill(server: redis.Redis) -> None:
    """Write a key of each type, and a stream with groups that have read different parts of it."""
    server.set("string", "hello")
    server.set("number", "41.5")
    server.rpush("list", *"abc")
    server.sadd("set", *"abcd")
    server.zadd("zset", {"a": 1, "b": 2})
    server.hset("hash", mapping={"f": 1})
    server.pfadd("counted", *"abcde")
    server.execute_command("PFCOUNT", "counted")
    server.pfadd("stale", *"abcde")
    for number in range(1, 11):
        server.xadd("orders", {"n": number}, id=f"17953800000{number:02}-0")
    server.xdel("orders", "1795380000002-0")
    server.xgroup_create("orders", "billing", id="0")
    server.xgroup_create("orders", "mailing", id="1795380000005-0")
    server.xreadgroup("billing", "alice", {"orders": ">"}, count=4)
    server.xreadgroup("billing", "bob", {"orders": ">"}, count=2)
    server.xadd("log", {"n": 1}, id="5-1")
    server.xdel("log", "5-1")


def questions() -> list[Asked]:
    """Everything that the collectors of keys ask about these keys."""
    asked: list[Asked] = [one for key in KEYS for one in (("TYPE", key), ("MEMORY", "USAGE", key))]
    asked += [("STRLEN", key) for key in ("string", "number", "counted", "stale")]
    asked += [("GETRANGE", key, 0, end) for key in ("string", "number", "counted", "stale") for end in (15, 255)]
    asked += [
        ("LLEN", "list"),
        ("SCARD", "set"),
        ("ZCARD", "zset"),
        ("HLEN", "hash"),
        ("XLEN", "orders"),
        ("XLEN", "log"),
    ]
    asked += [("XINFO", what, key) for key in ("orders", "log", "string", "missing") for what in ("STREAM", "GROUPS")]
    asked += [("XINFO", "CONSUMERS", "orders", group) for group in ("billing", "mailing")]
    asked += [("SCAN", 0, "MATCH", "*", "COUNT", 100), ("SCAN", 0, "MATCH", "*", "COUNT", 100, "TYPE", "stream")]
    digest = "0" * 40
    asked += [("EVALSHA_RO", digest, 0), ("EVALSHA", digest, 0), ("EVAL_RO", SCRIPT, 0), ("EVAL", SCRIPT, 0)]
    return [*asked, ("EVAL_RO", WRITING, 0), ("FT._LIST",), ("PFCOUNT", "stale")]


def plain(reply: Any) -> Any:
    """Make a reply fit for JSON."""
    match reply:
        case bytes():
            with contextlib.suppress(UnicodeDecodeError):
                return reply.decode()
            return {"hex": reply.hex()}
        case list():
            return [plain(item) for item in reply]
        case redis.ResponseError():
            return {"error": str(reply)}
    return reply


def ask(server: redis.Redis, questions: list[Asked]) -> dict[str, Any]:
    """Return reply by command."""
    replies = {}
    for asked in questions:
        with server.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*asked)
            (reply,) = pipeline.execute(raise_on_error=False)
        replies[" ".join(map(str, asked))] = plain(reply)
    return replies


def index(server: redis.Redis) -> None:
    """Make an index with documents, one of which cannot be indexed, and one without."""
    fields = ("name", "TEXT", "SORTABLE", "kind", "TAG", "price", "NUMERIC", "where", "GEO")
    vector = ("v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "L2")
    server.execute_command("FT.CREATE", "products", "PREFIX", 1, "p:", "SCHEMA", *fields, *vector)
    server.execute_command("FT.CREATE", "empty", "PREFIX", 1, "none:", "SCHEMA", "name", "TEXT")
    for number in range(50):
        item: dict[Any, Any] = {
            "name": f"thing number {number}",
            "kind": f"k{number % 3}",
            "price": number,
            "where": "13.4,52.5",
        }
        server.hset(f"p:{number}", mapping={**item, "where": "13.4,52.5", "v": b"\x00\x00\x80\x3f" * 2})
    server.hset("p:bad", mapping={"price": "much"})
    for _ in range(3):
        server.execute_command("FT.SEARCH", "products", "thing", "LIMIT", 0, 0)


def main(binary: str, module: str = "") -> None:
    """Start, fill, record, stop."""
    work = Path(tempfile.mkdtemp())
    process, connection = start(binary, work / "server", 'save ""', *([f"loadmodule {module}"] if module else []))
    try:
        port = connection.socket.getpeername()[1]
        info = connection.ask("INFO")
        found = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", info))
        name = "valkey" if b"valkey_version" in found else "redis"
        folder = HERE / f"{name}-{found[f'{name}_version'.encode()].decode()}{'-modules' if module else ''}"
        folder.mkdir(exist_ok=True)
        with redis.Redis(port=port, protocol=2) as server:
            (index if module else fill)(server)
            server.response_callbacks.clear()
            search: list[Asked] = [("FT._LIST",), ("FT.INFO", "products"), ("FT.INFO", "empty"), ("FT.INFO", "gone")]
            replies = ask(server, search if module else questions())
        file = folder / ("search.json" if module else "keys.json")
        file.write_text(json.dumps(replies, indent=1) + "\n", encoding="utf-8")
        print(file)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:3])
