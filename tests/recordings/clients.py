"""What real servers answered to the collectors of clients, command log and latency histograms.

``tests/replies/record_clients.py`` records more.
"""

import json
from typing import Any

from redis_pulse.parse.info import parse_info
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

#: A command → what was answered.
Replies = dict[str | tuple[str | int | bytes, ...], Any]
SERVERS = sorted(path.parent.name for path in REPLIES.glob("*/clients.json"))


def replies(server: str) -> Replies:
    """Return the replies by command, as the protocol gives them."""
    recorded = json.loads((REPLIES / server / "clients.json").read_text(encoding="utf-8"))
    return {command: _wire(reply) for command, reply in recorded.items()}


def commands(server: str) -> FakeCommands:
    """Return the port to a server that answers what was recorded."""
    return FakeCommands(replies(server))


def known(server: str) -> Server:
    """Return what INFO says that it is."""
    found = Server()
    sections = parse_info(replies(server)["INFO everything"].decode())
    found.update({field: value for fields in sections.values() for field, value in fields.items()})
    return found


def _wire(reply: Any) -> Any:
    if isinstance(reply, str):
        return reply.encode()
    return [_wire(item) for item in reply] if isinstance(reply, list) else reply
