"""What real servers answered about keys, streams and scripts; ``tests/replies/record_keys.py`` records more."""

import json
from typing import Any

from redis import ResponseError

from redis_pulse.client.error_mapping import map_error
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

SERVERS = sorted(path.parent.name for path in REPLIES.glob("*/keys.json"))
#: Those with the search module.
SEARCH = sorted(path.parent.name for path in REPLIES.glob("*/search.json"))


def replies(server: str, file: str = "keys") -> dict[str | tuple[str | int | bytes, ...], Any]:
    """Return reply by command, as the protocol gives them; errors are ours."""
    recorded = json.loads((REPLIES / server / f"{file}.json").read_text(encoding="utf-8"))
    return {command: _wire(reply) for command, reply in recorded.items()}


def commands(server: str) -> FakeCommands:
    """Return the port to a server that answers what was recorded."""
    return FakeCommands(replies(server))


def _wire(reply: Any) -> Any:
    match reply:
        case str():
            return reply.encode()
        case list():
            return [_wire(item) for item in reply]
        case {"hex": str() as digits}:
            return bytes.fromhex(digits)
        case {"error": str() as text}:
            return map_error(ResponseError(text), tls=False)
    return reply
