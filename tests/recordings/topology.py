"""What Sentinels, cluster nodes and CONFIG of real servers answered once; ``tests/replies/record_topology.py``."""

import json
from typing import Any

from redis_pulse.errors import TargetError
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

#: ``redis-7.0.15``, ``valkey-9.1.2``, …
SERVERS = sorted(path.parent.name for path in REPLIES.glob("*/topology.json"))
#: Stood as password, and must not be seen.
PLANTED = "planted-secret"


def reply(server: str, command: str) -> Any:
    """Return a reply as the protocol gives it: ``reply("redis-7.0.15", "SENTINEL MASTERS")``."""
    return _wire(json.loads((REPLIES / server / "topology.json").read_text(encoding="utf-8"))[command])


def commands(server: str, **changed: Any) -> FakeCommands:
    """Return the port to a server that answers everything that was recorded; ``CONFIG GET`` of single names too.

    Replies are changed by naming them with ``_`` for a blank: ``SENTINEL_MASTERS=[]``.
    """
    everything = json.loads((REPLIES / server / "topology.json").read_text(encoding="utf-8"))
    settings = everything["CONFIG GET *"]
    replies = {command: _wire(value) for command, value in everything.items()}
    replies |= {
        f"CONFIG GET {name}": [name.encode(), value.encode()]
        for name, value in zip(settings[::2], settings[1::2], strict=True)
    }
    return FakeCommands(replies | {command.replace("_", " "): value for command, value in changed.items()})


def lost_quorum(server: str) -> TargetError:
    """Return the error that CKQUORUM answers when the quorum cannot be reached."""
    return TargetError(reply(server, "SENTINEL CKQUORUM lost").decode())


def _wire(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    return [_wire(item) for item in value] if isinstance(value, list) else value
