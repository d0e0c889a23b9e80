"""Publish when the login of a target expires, and which renewals failed."""

from redis_pulse.client import TargetClient
from redis_pulse.telemetry import TargetMetrics, families
from redis_pulse.tokens import RENEWAL_REASONS


def show_token(client: TargetClient, metrics: TargetMetrics) -> None:
    """Publish the token of a target. A target whose login does not expire has no such series."""
    shared = client.credentials.shared
    if shared is None:
        metrics.drop_renewals()
        return
    for reason in RENEWAL_REASONS:
        metrics.value(families.TOKEN_FAILURES, reason)
    metrics.callbacks[families.TOKEN_EXPIRY, ""] = lambda: shared.expires_at
