"""Start every job and every ping at its moment."""

from redis_pulse.scheduling.grid import Grid, MissedRuns
from redis_pulse.scheduling.scheduler import STARTUP_STAGGER, Scheduler

__all__ = ["STARTUP_STAGGER", "Grid", "MissedRuns", "Scheduler"]
