"""Measure the error of a ping on this machine, against a server of our own: ``redis-pulse calibrate``."""

from redis_pulse.calibrate.command import parser, run

__all__ = ["parser", "run"]
