"""How often a target is polled follows from its settings."""

import pytest

from redis_pulse.config import PollSettings
from redis_pulse.daemon.poll_job import pace_of
from redis_pulse.scheduling import PollPace


@pytest.mark.parametrize(
    ("settings", "pace"),
    [
        ({}, PollPace(15.0, 5.0, aligns=True)),
        ({"align": "off"}, PollPace(15.0, 5.0, aligns=False)),
        ({"interval": 30, "min_interval": 10, "max_age": 60}, PollPace(30.0, 10.0, aligns=True)),
        ({"interval": 30, "max_age": 59}, PollPace(30.0, 5.0, aligns=False)),
    ],
)
def test_pace_is_that_of_the_settings(settings: dict[str, object], pace: PollPace) -> None:
    """With a short max_age, samples of expensive collectors would vanish before their next run."""
    assert pace_of(PollSettings.model_validate(settings)) == pace
