"""Measure what a client feels: pings, cold connects, the canary, the replication delay."""

from redis_pulse.probe.accounting import PING, Observer, Outcome
from redis_pulse.probe.clock import Clocks
from redis_pulse.probe.csv_log import ProbeLog
from redis_pulse.probe.prober import Prober

__all__ = ["PING", "Clocks", "Observer", "Outcome", "ProbeLog", "Prober"]
