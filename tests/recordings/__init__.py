"""What real servers answered once, in ``tests/replies/``; ``tests/replies/record.py`` records more."""

import json
from pathlib import Path
from typing import Any

from tests.fakes import FakeCommands

REPLIES = Path(__file__).parents[1] / "replies"
#: ``redis-7.0.15``, ``valkey-9.1.2``, …
SERVERS = sorted(path.name for path in REPLIES.iterdir() if path.is_dir() and (path / "info.txt").exists())
#: ``info`` is a primary, the others its replica and its Sentinel.
WHO = ("info", "info-replica", "info-sentinel")


def info(server: str, who: str = "info") -> bytes:
    """Return an INFO reply as it came over the wire."""
    return (REPLIES / server / f"{who}.txt").read_bytes()


def nested(server: str, command: str) -> Any:
    """Return the reply to ``slowlog-len``, ``slowlog-get`` or ``latency-latest`` as the protocol gives it."""
    return _wire(json.loads((REPLIES / server / f"{command}.json").read_text(encoding="utf-8")))


def commands(server: str, who: str = "info") -> FakeCommands:
    """Return the port to a server that answers everything that was recorded."""
    return FakeCommands(
        {
            "INFO EVERYTHING": info(server, who),
            "SLOWLOG LEN": nested(server, "slowlog-len"),
            "SLOWLOG GET 1": nested(server, "slowlog-get"),
            "LATENCY LATEST": nested(server, "latency-latest"),
        }
    )


def _wire(reply: Any) -> Any:
    if isinstance(reply, str):
        return reply.encode()
    return [_wire(item) for item in reply] if isinstance(reply, list) else reply
