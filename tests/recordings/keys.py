"""Recorded replies of real servers about keys, streams and scripts.

Record more with ``tests/replies/record_keys.py``.
"""

import json
from typing import Any

from redis import ResponseError

from redis_pulse.client.error_mapping import map_error
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

SERVERS = sorted(path.parent.name for path in REPLIES.glob("*/keys.json"))
#: Servers with the search module.
SEARCH = sorted(path.parent.name for path in REPLIES.glob("*/search.json"))


def replies(server: str, file: str = "keys") -> dict[str | tuple[str | int | bytes, ...], Any]:
    """Return the replies by command, as the client returns them: errors are ``TargetError``."""
    recorded = json.loads((REPLIES / server / f"{file}.json").read_text(encoding="utf-8"))
    return {command: _decoded(reply) for command, reply in recorded.items()}


def commands(server: str) -> FakeCommands:
    """Return commands with the recorded replies of a server."""
    return FakeCommands(replies(server))


def _decoded(reply: Any) -> Any:
    match reply:
        case str():
            return reply.encode()
        case list():
            return [_decoded(item) for item in reply]
        case {"hex": str() as digits}:
            return bytes.fromhex(digits)
        case {"error": str() as text}:
            return map_error(ResponseError(text), tls=False)
    return reply
