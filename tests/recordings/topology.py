"""Recorded replies of real Sentinels and cluster nodes, and to CONFIG GET.

Record more with ``tests/replies/record_topology.py``.
"""

import json
from typing import Any

from redis_pulse.errors import TargetError
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

#: ``redis-7.0.15``, ``valkey-9.1.2``, …
SERVERS = sorted(path.parent.name for path in REPLIES.glob("*/topology.json"))
#: The password of the recorded servers. It must never be published.
PLANTED = "planted-secret"


def reply(server: str, command: str) -> Any:
    """Return a reply as the protocol decodes it: ``reply("redis-7.0.15", "SENTINEL MASTERS")``."""
    return _decoded(json.loads((REPLIES / server / "topology.json").read_text(encoding="utf-8"))[command])


def commands(server: str, **changed: Any) -> FakeCommands:
    """Return commands with all recorded replies of a server, and with ``CONFIG GET`` of single names.

    Keyword arguments replace replies: ``SENTINEL_MASTERS=[]``, with ``_`` in place of a space.
    """
    recorded = json.loads((REPLIES / server / "topology.json").read_text(encoding="utf-8"))
    settings = recorded["CONFIG GET *"]
    replies = {command: _decoded(value) for command, value in recorded.items()}
    replies |= {
        f"CONFIG GET {name}": [name.encode(), value.encode()]
        for name, value in zip(settings[::2], settings[1::2], strict=True)
    }
    return FakeCommands(replies | {command.replace("_", " "): value for command, value in changed.items()})


def lost_quorum(server: str) -> TargetError:
    """Return the error of CKQUORUM when the quorum cannot be reached."""
    return TargetError(reply(server, "SENTINEL CKQUORUM lost").decode())


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    return [_decoded(item) for item in value] if isinstance(value, list) else value
