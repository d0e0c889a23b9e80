"""Which PING a reply belongs to: each carries a number, and the server gives it back.

Replies come in the order of the PINGs, but one may never come: a proxy on the way lost it, or the server's own fault
ate it. Without numbers every later reply would be taken for the answer to the PING before, a whole interval too slow,
for as long as the connection lives. Errors bear no number: they answer the oldest, and the next number sets it right.

A proxy may take a PING with a word for nonsense and hang up. So after a connection that was closed before anything was
answered on it, the next one is tried without numbers, and whatever follows that one again with them.
"""

from collections.abc import Sequence

from exporter.client import Wire
from exporter.client.wire import NUMBERS
from exporter.errors import ConnectionResetByTargetError, ProtocolError, TargetError
from exporter.prober.ledger import Ping
from exporter.slots import Slot, Slots


class Numbers:
    """Finds what was left out before a reply, in the pings on the wire."""

    __slots__ = ("_is_heard", "_is_wanted", "_slots")

    def __init__(self, slots: Slots[Ping]) -> None:
        self._slots = slots
        self._is_wanted = True
        self._is_heard = False

    def begin(self, wire: Wire) -> None:
        """Let the PINGs of a new connection carry numbers, unless the one before died of it."""
        wire.numbered = self._is_wanted
        self._is_heard = False

    def passed_over(self, number: int | None) -> Sequence[Slot[Ping]]:
        """Close the pings before the one that a reply is to, and return those that had no outcome yet.

        Raises ProtocolError when no ping of that number is on the wire: a reply came twice, or is somebody else's.
        """
        self._is_heard = True
        oldest = self._slots.oldest
        if number is None or oldest is None:
            return ()
        first = None if oldest.token.sent is None else oldest.token.sent.number
        if number == first:
            return ()
        ahead = self._slots.outstanding if first is None else (number - first) % NUMBERS
        if ahead >= self._slots.outstanding:
            raise ProtocolError("a reply that nobody asked for")
        return [slot for _ in range(ahead) if (slot := self._slots.passed_over()) is not None]

    def end(self, error: TargetError) -> None:
        """Take note of how a connection ended, before its pings are closed."""
        died = isinstance(error, ConnectionResetByTargetError) and self._slots.outstanding > 0 and not self._is_heard
        self._is_wanted = not (self._is_wanted and died)
