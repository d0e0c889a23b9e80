"""One connection of the prober, from its place in the queue of connects until it is lost or given up."""

import asyncio
from typing import Protocol

from redis_pulse.client import ProbeConnection, Received, TargetClient, TcpInfo
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import TargetMetrics, families


class ProbeSessionListener(Protocol):
    """Is notified of what happens on a session."""

    @property
    def is_replaced(self) -> bool:
        """Whether another prober has replaced this one, because the target moved."""
        ...

    def connection_opened(self, connection: ProbeConnection) -> None:
        """Send the pings that waited for the connection."""
        ...

    def received(self, connection: ProbeConnection, received: Received) -> None:
        """Handle replies, in the order of the pings. May raise TargetError to close the connection."""
        ...

    def connection_lost(self, error: TargetError) -> None:
        """Handle the end of the session, and its reason. No reply will come, and everything is closed."""
        ...


class ProbeSession:
    """Connects when the limiter allows it. Then passes every reply on, until the connection is lost or given up."""

    def __init__(
        self, client: TargetClient, metrics: TargetMetrics, listener: ProbeSessionListener, *, is_spare: bool = False
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._is_spare = is_spare
        #: is notified of what happens
        self.listener = listener
        #: The connection, while there is one.
        self.connection: ProbeConnection | None = None
        #: Whether it still waits for others to connect.
        self.is_queueing = True
        #: What the kernel knew about the connection at the newest reading. None if there was none or it tells nothing.
        self.tcp_info: TcpInfo | None = None
        self._retransmits = 0  # those of this connection that are counted
        self._task = asyncio.get_running_loop().create_task(self._connect())

    def read(self) -> None:
        """Read what has arrived and pass it on. Does nothing without a connection."""
        connection = self.connection
        if connection is None:
            return
        try:
            received = connection.receive()
            if received is not None:
                self.listener.received(connection, received)
        except TargetError as error:
            self.give_up(error)
        except Exception as error:
            self.give_up(_internal_error(error))
            raise

    def read_tcp_info(self) -> None:
        """Read what the kernel knows about the connection, and count what it has sent again since the last reading.

        The kernel counts from 0 for each connection. So only differences are added, and the metric never decreases.
        """
        if self.connection is None:
            return
        self.tcp_info = info = self.connection.tcp_info()
        if info is not None:
            self._metrics.value(families.TCP_RETRANSMITS).inc(max(0, info.total_retrans - self._retransmits))
            self._retransmits = max(self._retransmits, info.total_retrans)

    def give_up(self, error: TargetError) -> None:
        """Close the connection and report the reason."""
        self.close()
        self.listener.connection_lost(error)

    async def stop(self) -> None:
        """Close the connection, or stop connecting, without a report."""
        self.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def close(self) -> None:
        """Close the connection without a report, if there is one."""
        self.read_tcp_info()  # most segments are sent again just before a dead connection is given up
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    async def _connect(self) -> None:
        try:
            async with self._client.connect_limiter.acquire():
                self.is_queueing = False
                self.connection = connection = await self._client.connect_probe(self._on_phase, is_spare=self._is_spare)
            connection.listen(self.read)
            self.read_tcp_info()
            if (expires := connection.certificate_expires) is not None and not self.listener.is_replaced:
                self._metrics.value(families.CERTIFICATE).set(expires)
            self.listener.connection_opened(connection)
        except TargetError as error:
            self.give_up(error)
        except Exception as error:
            self.give_up(_internal_error(error))
            raise

    def _on_phase(self, phase: str, seconds: float) -> None:
        self._metrics.histogram(families.PHASE, phase).observe(seconds)


def _internal_error(error: Exception) -> TargetError:
    return TargetError(f"a fault of the exporter: {type(error).__name__}")
