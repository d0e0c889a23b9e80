"""Recorded replies of real servers to the collectors of clients, command log and latency histograms.

Record more with ``tests/replies/record_clients.py``.
"""

import json
from typing import Any

from redis_pulse.parse.info import parse_info
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

#: Command → reply.
Replies = dict[str | tuple[str | int | bytes, ...], Any]
SERVERS = sorted(path.parent.name for path in REPLIES.glob("*/clients.json"))


def replies(server: str) -> Replies:
    """Return the replies by command, as the protocol decodes them."""
    recorded = json.loads((REPLIES / server / "clients.json").read_text(encoding="utf-8"))
    return {command: _decoded(reply) for command, reply in recorded.items()}


def commands(server: str) -> FakeCommands:
    """Return commands with the recorded replies of a server."""
    return FakeCommands(replies(server))


def known(server: str) -> Server:
    """Return the server as its recorded INFO describes it."""
    known = Server()
    sections = parse_info(replies(server)["INFO everything"].decode())
    known.update({field: value for fields in sections.values() for field, value in fields.items()})
    return known


def _decoded(reply: Any) -> Any:
    if isinstance(reply, str):
        return reply.encode()
    return [_decoded(item) for item in reply] if isinstance(reply, list) else reply
