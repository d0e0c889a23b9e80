"""A token: a login that expires. How long it serves, and why it could not be renewed."""

import math
from dataclasses import dataclass, field
from typing import Literal

from redis_pulse.config import TokenSourceKind

#: Why a renewal failed. The label ``reason`` has no other values.
RenewalReason = Literal["timeout", "program", "output", "expired", "library", "identity", "other"]
RENEWAL_REASONS: tuple[RenewalReason, ...] = (
    "timeout",
    "program",
    "output",
    "expired",
    "library",
    "identity",
    "other",
)

#: The part of its life after which a token is renewed, at the latest and at the earliest.
RENEW_AT, RENEW_EARLY = 2 / 3, 0.6
#: Seconds between two renewals, at least. A service may return the same token again until its end is near.
MIN_RENEWAL_INTERVAL = 1.0
#: Seconds. AWS cuts a connection 12 hours after its newest login.
AWS_CONNECTION_LIFE = 11 * 3600.0
#: Seconds before the end of a token at which its connections are replaced. A short life gives a fifth of itself.
CONNECTION_MARGIN, CONNECTION_MARGIN_RATIO = 180.0, 0.2
#: The jitter makes a connection end up to this share earlier, so that many connections are not replaced together.
CONNECTION_JITTER = 0.05


class RenewalError(Exception):
    """A token could not be renewed. ``str(error)`` says why, and never contains an output or a secret."""

    def __init__(self, reason: RenewalReason, text: str) -> None:
        super().__init__(text)
        self.reason: RenewalReason = reason


@dataclass(frozen=True, slots=True)
class Token:
    """A user name and a password, and how long they are valid. Times are Unix time."""

    password: str = field(repr=False)
    username: str | None = None
    #: None if the source does not say it
    expires_at: float | None = None

    def is_valid(self, now: float) -> bool:
        """Whether a server may accept it now."""
        return self.expires_at is None or now < self.expires_at


def renewal_delay(token: Token, now: float, refresh_interval: float, jitter: float) -> float:
    """Return the seconds until a token is renewed. ``jitter`` is in [0, 1)."""
    if token.expires_at is None:
        return refresh_interval * (1 - 0.1 * jitter)
    left = token.expires_at - now
    return max(MIN_RENEWAL_INTERVAL, left * (RENEW_AT - (RENEW_AT - RENEW_EARLY) * jitter))


def connection_life(kind: TokenSourceKind, token: Token, now: float, jitter: float) -> float:
    """Return the seconds after which a connection that logs in with ``token`` now must be replaced, or infinity.

    AWS cuts connections by their age, Azure at the end of their token, Google never. For a command the end of the token
    counts, because that is the shortest of the three.
    """
    if kind == "aws":
        return AWS_CONNECTION_LIFE * (1 - CONNECTION_JITTER * jitter)
    if kind == "google" or token.expires_at is None:
        return math.inf
    left = max(0.0, token.expires_at - now)
    margin = min(CONNECTION_MARGIN, CONNECTION_MARGIN_RATIO * left)
    return (left - margin) * (1 - CONNECTION_JITTER * jitter)
