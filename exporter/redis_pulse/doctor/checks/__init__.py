"""The checks of one target, in the order in which doctor runs them."""

from redis_pulse.doctor.checks.registry import TARGET_CHECKS

__all__ = ["TARGET_CHECKS"]
