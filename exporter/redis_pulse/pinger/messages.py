"""What the daemon and the process with the pings tell each other. No message holds a secret or a name.

An *order* lends a connection, or asks for one back. The socket of a lent connection comes with its order. A *report*
has what became of one ping, or of a connection. Reports of one connection come in the order of the events. Times are
monotonic seconds, or nanoseconds of the wall clock.
"""

import struct
from typing import Final, NamedTuple

#: Kinds of orders.
LEND, RETURN = range(2)
#: Kinds of reports. ``WHOLE`` is a PING with its own reply, ``SENT`` one without a reply so far. ``DATA`` is what else
#: arrived. ``SKIPPED`` counts moments without a PING. ``LOST`` is the end of a connection. ``RETURNED`` is the last
#: report of a lent connection. ``BEAT`` ends a batch: what arrived before its time is in the batches up to here.
WHOLE, SENT, DATA, SKIPPED, LOST, RETURNED, BEAT = range(7)

_ORDER: Final = struct.Struct("=BIdIdB")
ORDER_BYTES: Final = _ORDER.size
_REPORT: Final = struct.Struct("=IBBHIddqddqq")


class Order(NamedTuple):
    """``first`` is the moment of the first PING, ``number`` its number. One follows every ``interval`` seconds."""

    kind: int
    key: int
    first: float = 0.0
    number: int = 0
    interval: float = 0.0
    is_numbered: bool = True

    def encode(self) -> bytes:
        """Return the message."""
        return _ORDER.pack(*self)

    @classmethod
    def decode(cls, message: bytes) -> "Order":
        """Return the order of a message."""
        return cls(*_ORDER.unpack(message))


class PingReport(NamedTuple):
    """``number`` is that of the PING; for SKIPPED the count, for LOST the ``errno``, for RETURNED the next number.

    ``due`` is the moment; for SKIPPED the newest, for RETURNED the next. ``size`` bytes of data follow the report.
    """

    key: int
    kind: int
    is_stamped: int = 0
    size: int = 0
    number: int = 0
    due: float = 0.0
    sent: float = 0.0
    sent_ns: int = 0
    took: float = 0.0
    read: float = 0.0
    read_ns: int = 0
    timestamp: int = 0

    def encode(self) -> bytes:
        """Return the message, without data."""
        return _REPORT.pack(*self)


class ReportReader:
    """Joins received data into reports."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[PingReport, bytes]]:
        """Return the reports that are complete now, each with its data."""
        data, at, found = self._rest + data, 0, []
        while at + _REPORT.size <= len(data):
            report = PingReport._make(_REPORT.unpack_from(data, at))
            begin = at + _REPORT.size
            end = begin + report.size
            if end > len(data):
                break
            found.append((report, data[begin:end]))
            at = end
        self._rest = data[at:]
        return found
