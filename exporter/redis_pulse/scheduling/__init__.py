"""Decide which target is due when."""

from redis_pulse.scheduling.grid import Grid, Missed
from redis_pulse.scheduling.phase_group import Cohort
from redis_pulse.scheduling.scheduler import APART, Schedule

__all__ = ["APART", "Cohort", "Grid", "Missed", "Schedule"]
