"""Logins that expire: get tokens, share them between connections, and renew them before they end.

A token comes from a program, or from the library of a cloud, in a thread with a deadline. Only this package imports
those libraries, and only when a target uses them.
"""

from redis_pulse.tokens.model import RENEWAL_REASONS, RenewalError, RenewalReason, Token, connection_life
from redis_pulse.tokens.renewal import SharedToken, TokenListener, TokenRegistry

__all__ = [
    "RENEWAL_REASONS",
    "RenewalError",
    "RenewalReason",
    "SharedToken",
    "Token",
    "TokenListener",
    "TokenRegistry",
    "connection_life",
]
