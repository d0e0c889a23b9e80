"""The attacks. Each row is an object of ``Row``: what it prepares, what begins, and what must hold."""

from attack.rows.base import Row

__all__ = ["Row"]
