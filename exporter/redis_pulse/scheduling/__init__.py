"""Start every job, every poll and every ping at its moment."""

from redis_pulse.scheduling.grid import Grid, MissedRuns
from redis_pulse.scheduling.planner import PollPace, PollPlanner
from redis_pulse.scheduling.scheduler import STARTUP_STAGGER, Scheduler
from redis_pulse.scheduling.scrapers import Scraper, ScraperState

__all__ = [
    "STARTUP_STAGGER",
    "Grid",
    "MissedRuns",
    "PollPace",
    "PollPlanner",
    "Scheduler",
    "Scraper",
    "ScraperState",
]
