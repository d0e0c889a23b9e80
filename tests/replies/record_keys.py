"""Record the replies of a real server about keys, streams and scripts, for tests without a server:

    python -m tests.replies.record_keys /usr/bin/redis-server

The script writes ``keys.json`` into ``tests/replies/<server>-<version>/``: ``{"TYPE string": …}``. An error reply
becomes ``{"error": text}``, and bytes that are not UTF-8 become ``{"hex": …}``.

With the path of the search module as a second argument, it records FT.INFO into ``search.json`` instead.
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

Request = tuple[str | int | bytes, ...]


def fill(server: redis.Redis) -> None:
    """Write a key of each type, and a stream with groups that have read different parts."""
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


def requests() -> list[Request]:
    """Return all commands that the collectors of keys send about these keys."""
    commands: list[Request] = [command for key in KEYS for command in (("TYPE", key), ("MEMORY", "USAGE", key))]
    commands += [("STRLEN", key) for key in ("string", "number", "counted", "stale")]
    commands += [("GETRANGE", key, 0, end) for key in ("string", "number", "counted", "stale") for end in (15, 255)]
    commands += [
        ("LLEN", "list"),
        ("SCARD", "set"),
        ("ZCARD", "zset"),
        ("HLEN", "hash"),
        ("XLEN", "orders"),
        ("XLEN", "log"),
    ]
    commands += [
        ("XINFO", what, key) for key in ("orders", "log", "string", "missing") for what in ("STREAM", "GROUPS")
    ]
    commands += [("XINFO", "CONSUMERS", "orders", group) for group in ("billing", "mailing")]
    commands += [("SCAN", 0, "MATCH", "*", "COUNT", 100), ("SCAN", 0, "MATCH", "*", "COUNT", 100, "TYPE", "stream")]
    digest = "0" * 40
    commands += [("EVALSHA_RO", digest, 0), ("EVALSHA", digest, 0), ("EVAL_RO", SCRIPT, 0), ("EVAL", SCRIPT, 0)]
    return [*commands, ("EVAL_RO", WRITING, 0), ("FT._LIST",), ("PFCOUNT", "stale")]


def to_json(reply: Any) -> Any:
    """Convert a reply for JSON."""
    match reply:
        case bytes():
            with contextlib.suppress(UnicodeDecodeError):
                return reply.decode()
            return {"hex": reply.hex()}
        case list():
            return [to_json(item) for item in reply]
        case redis.ResponseError():
            return {"error": str(reply)}
    return reply


def execute(server: redis.Redis, commands: list[Request]) -> dict[str, Any]:
    """Send the commands and return the replies by command."""
    replies = {}
    for command in commands:
        with server.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*command)
            (reply,) = pipeline.execute(raise_on_error=False)
        replies[" ".join(map(str, command))] = to_json(reply)
    return replies


def create_indexes(server: redis.Redis) -> None:
    """Create an empty index, and an index with documents, one of which cannot be indexed."""
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
    """Start the server, write keys, record the replies, stop the server."""
    work = Path(tempfile.mkdtemp())
    process, connection = start(binary, work / "server", 'save ""', *([f"loadmodule {module}"] if module else []))
    try:
        port = connection.socket.getpeername()[1]
        info = connection.execute("INFO")
        versions = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", info))
        name = "valkey" if b"valkey_version" in versions else "redis"
        folder = HERE / f"{name}-{versions[f'{name}_version'.encode()].decode()}{'-modules' if module else ''}"
        folder.mkdir(exist_ok=True)
        with redis.Redis(port=port, protocol=2) as server:
            (create_indexes if module else fill)(server)
            server.response_callbacks.clear()
            search: list[Request] = [("FT._LIST",), ("FT.INFO", "products"), ("FT.INFO", "empty"), ("FT.INFO", "gone")]
            replies = execute(server, search if module else requests())
        file = folder / ("search.json" if module else "keys.json")
        file.write_text(json.dumps(replies, indent=1) + "\n", encoding="utf-8")
        print(file)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:3])
