"""Recorded replies of real servers in ``tests/replies/``. Record more with ``tests/replies/record.py``."""

import json
from pathlib import Path
from typing import Any

from tests.fakes import FakeCommands

REPLIES = Path(__file__).parents[1] / "replies"
#: ``redis-7.0.15``, ``valkey-9.1.2``, …
SERVERS = sorted(path.name for path in REPLIES.iterdir() if path.is_dir() and (path / "info.txt").exists())
#: Names of the INFO recordings: a primary, its replica and its Sentinel.
ROLES = ("info", "info-replica", "info-sentinel")


def info(server: str, role: str = "info") -> bytes:
    """Return an INFO reply as the server sent it."""
    return (REPLIES / server / f"{role}.txt").read_bytes()


def nested(server: str, command: str) -> Any:
    """Return the reply to ``slowlog-len``, ``slowlog-get`` or ``latency-latest`` as the protocol decodes it."""
    return _decoded(json.loads((REPLIES / server / f"{command}.json").read_text(encoding="utf-8")))


def commands(server: str, role: str = "info") -> FakeCommands:
    """Return commands with all recorded replies of a server."""
    return FakeCommands(
        {
            "INFO EVERYTHING": info(server, role),
            "SLOWLOG LEN": nested(server, "slowlog-len"),
            "SLOWLOG GET 1": nested(server, "slowlog-get"),
            "LATENCY LATEST": nested(server, "latency-latest"),
        }
    )


def _decoded(reply: Any) -> Any:
    if isinstance(reply, str):
        return reply.encode()
    return [_decoded(item) for item in reply] if isinstance(reply, list) else reply
