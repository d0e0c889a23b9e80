"""Decide which target is due when."""

from redis_pulse.scheduling.grid import Grid, MissedRuns
from redis_pulse.scheduling.phase_group import PhaseGroup
from redis_pulse.scheduling.scheduler import STARTUP_STAGGER, Scheduler

__all__ = ["STARTUP_STAGGER", "Grid", "MissedRuns", "PhaseGroup", "Scheduler"]
