"""What a client reports to the layers above it."""

from collections.abc import Sequence
from typing import Any, Protocol

from redis_pulse.commands import Args
from redis_pulse.errors import TargetError
from redis_pulse.tokens import RenewalReason


class ClientObserver(Protocol):
    """Receives the events of a client. The client never calls a higher layer directly."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Record an attempt to connect: its duration, and its error if it failed."""
        ...

    def retried(self, operation: str) -> None:
        """Record a read that is sent a second time."""
        ...

    def replied(self, commands: Sequence[Args], replies: Sequence[Any]) -> None:
        """Receive the replies to the commands of a poll. Error replies are values."""
        ...

    def token_not_renewed(self, reason: RenewalReason) -> None:
        """Record a renewal of the login that failed. Targets with the same source share it."""
        ...


class NullClientObserver:
    """Ignores the events of a client, for connections that are not counted."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Ignore an attempt to connect."""

    def retried(self, operation: str) -> None:
        """Ignore a retry."""

    def replied(self, commands: Sequence[Args], replies: Sequence[Any]) -> None:
        """Ignore replies."""

    def token_not_renewed(self, reason: RenewalReason) -> None:
        """Ignore a renewal that failed."""
