"""Opens the next connection for pings while the present one still works.

A service cuts a connection when its login has served for long enough. The prober then changes to the spare connection
between two pings, so no ping is lost. The server replies on the spare one already: it is connected and logged in.
"""

import math

from redis_pulse.backoff import Backoff
from redis_pulse.client import ProbeConnection, Received, TargetClient
from redis_pulse.errors import ProtocolError, TargetError
from redis_pulse.probe.session import ProbeSession, ProbeSessionListener
from redis_pulse.telemetry import TargetMetrics

#: Seconds before a spare connection that failed is tried again: the first delay and the longest.
RETRY_BASE, RETRY_CAP = 1.0, 30.0
#: Seconds for which pings may cross on the old connection before new ones are held back for a round trip.
MAX_OVERLAP = 2.0


class SpareConnection:
    """Makes a spare connection when that of ``owner`` must be replaced soon."""

    def __init__(self, client: TargetClient, metrics: TargetMetrics, owner: ProbeSessionListener) -> None:
        self._client = client
        self._metrics = metrics
        self._owner = owner
        self._session: ProbeSession | None = None
        self._ready_since = math.inf
        self._retry = Backoff(RETRY_BASE, RETRY_CAP, floor=RETRY_BASE)
        self._next_attempt = -math.inf
        self._now = 0.0

    @property
    def is_replaced(self) -> bool:
        """Whether the target has moved."""
        return self._owner.is_replaced

    @property
    def is_ready(self) -> bool:
        """Whether the spare connection is logged in."""
        return self._ready_since < math.inf

    def prepare(self, connection: ProbeConnection, now: float) -> None:
        """Begin to connect if ``connection`` must be replaced. Does nothing while that is in progress."""
        self._now = now
        if self._session is None and now >= self._next_attempt and self._client.must_replace(connection):
            self._session = ProbeSession(self._client, self._metrics, self, is_spare=True)

    def holds_back(self, now: float, newest_reply: float) -> bool:
        """Whether the next ping must wait, because pings never stop crossing on the old connection.

        Pings are held back only while replies come. Then the wait lasts for one round trip.
        """
        return now - self._ready_since > MAX_OVERLAP and now - newest_reply < MAX_OVERLAP

    def take(self) -> ProbeSession:
        """Return the session of the spare connection, which now belongs to the owner."""
        session = self._session
        if session is None:
            raise RuntimeError("there is no spare connection: check `is_ready`")
        session.listener = self._owner
        self._session, self._ready_since = None, math.inf
        self._retry.reset()
        return session

    def drop(self) -> None:
        """Close a connection that is ready. One that still connects stays, because it uses the newest login."""
        if self.is_ready:
            self.take().close()

    async def stop(self) -> None:
        """Close the spare connection, or stop connecting."""
        session, self._session, self._ready_since = self._session, None, math.inf
        if session is not None:
            await session.stop()

    def connection_opened(self, _connection: ProbeConnection) -> None:
        """Keep the connection until the owner takes it."""
        self._ready_since = self._now

    def received(self, _connection: ProbeConnection, _received: Received) -> None:
        """Close a connection that sends replies before it gets a PING."""
        raise ProtocolError("a reply without a ping")

    def connection_lost(self, _error: TargetError) -> None:
        """Try again later. The present connection still works, and its own end would be reported."""
        self._session, self._ready_since = None, math.inf
        self._next_attempt = self._now + self._retry.next()
