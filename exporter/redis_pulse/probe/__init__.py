"""Measure what a client feels: pings, cold connects, the canary, the replication delay."""

from redis_pulse.probe.accounting import PING, ProbeObserver, ProbeResult
from redis_pulse.probe.clock import WallClockMonitor
from redis_pulse.probe.csv_log import ProbeCsvLog
from redis_pulse.probe.lending_prober import LendingProber
from redis_pulse.probe.ping_process import PingProcess
from redis_pulse.probe.prober import Prober

__all__ = [
    "PING",
    "LendingProber",
    "PingProcess",
    "ProbeCsvLog",
    "ProbeObserver",
    "ProbeResult",
    "Prober",
    "WallClockMonitor",
]
