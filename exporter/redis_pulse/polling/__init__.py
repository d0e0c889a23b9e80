"""Run the collectors of one target and store their samples."""

from redis_pulse.polling.poller import ConfiguredCollector, FailedCollector, TargetPoller

__all__ = ["ConfiguredCollector", "FailedCollector", "TargetPoller"]
