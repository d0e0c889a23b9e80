"""Examine targets once, end to end: ``redis-pulse doctor``."""

from redis_pulse.doctor.command import parser, run
from redis_pulse.doctor.plan import (
    Plan,
    ReadConfig,
    TlsFiles,
    WrongArgumentsError,
    add_target_options,
    loader,
    make_plan,
)

__all__ = [
    "Plan",
    "ReadConfig",
    "TlsFiles",
    "WrongArgumentsError",
    "add_target_options",
    "loader",
    "make_plan",
    "parser",
    "run",
]
