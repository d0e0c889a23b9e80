"""Run the collectors of one target and store their samples."""

from redis_pulse.polling.poller import Failing, Part, Sampler

__all__ = ["Failing", "Part", "Sampler"]
