"""How long a token and its connections serve: plain functions of times and a jitter."""

import math

import pytest

from redis_pulse.tokens.model import (
    AWS_CONNECTION_LIFE,
    MIN_RENEWAL_INTERVAL,
    RENEWAL_REASONS,
    RenewalError,
    Token,
    connection_life,
    renewal_delay,
)

NOW = 1_000_000.0
HOUR = Token("p", expires_at=NOW + 3600)


@pytest.mark.parametrize(("jitter", "delay"), [(0.0, 2400.0), (0.5, 2280.0), (1.0, 2160.0)])
def test_token_is_renewed_at_two_thirds_of_its_life(jitter: float, delay: float) -> None:
    assert renewal_delay(HOUR, NOW, 300, jitter) == pytest.approx(delay)


def test_password_without_end_is_renewed_by_the_setting() -> None:
    assert renewal_delay(Token("p"), NOW, 300, 0.0) == 300
    assert renewal_delay(Token("p"), NOW, 300, 1.0) == 270


def test_token_that_is_returned_again_is_not_requested_without_a_pause() -> None:
    """Metadata services return the same token until it has five minutes left."""
    left, requests = 3600.0, 0
    while left > MIN_RENEWAL_INTERVAL:
        left -= renewal_delay(Token("p", expires_at=NOW + left), NOW, 300, 0.0)
        requests += 1
    assert requests < 10


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_connection_ends_before_its_service_cuts_it(jitter: float) -> None:
    assert 10.4 * 3600 < connection_life("aws", HOUR, NOW, jitter) <= AWS_CONNECTION_LIFE == 11 * 3600
    assert 3200 < connection_life("azure", HOUR, NOW, jitter) <= 3600 - 180
    assert 3200 < connection_life("command", HOUR, NOW, jitter) <= 3600 - 180
    assert connection_life("google", HOUR, NOW, jitter) == math.inf
    assert connection_life("command", Token("p"), NOW, jitter) == math.inf
    short = Token("p", expires_at=NOW + 20)
    assert renewal_delay(short, NOW, 300, 0.0) < connection_life("command", short, NOW, jitter) <= 16
    assert connection_life("azure", Token("p", expires_at=NOW - 5), NOW, jitter) == 0


def test_token_is_valid_until_its_end() -> None:
    assert Token("p").is_valid(math.inf)
    assert HOUR.is_valid(NOW)
    assert not HOUR.is_valid(NOW + 3600)


def test_reasons_are_a_closed_list() -> None:
    assert RENEWAL_REASONS == ("timeout", "program", "output", "expired", "library", "identity", "other")
    assert RenewalError("expired", "text").reason == "expired"
