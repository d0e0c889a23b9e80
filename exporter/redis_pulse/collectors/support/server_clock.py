"""The time of the server's own clock, as its newest INFO reply shows it. It may be years off the time of our clock."""

from redis_pulse.parse.reply import parse_uint
from redis_pulse.server_info import Server


def server_time(server: Server) -> float | None:
    """Return Unix time of the server in seconds, or None before Redis 6.2."""
    microseconds = parse_uint(server.fields.get("server_time_usec", ""))
    return None if microseconds is None else microseconds / 1e6


def age(server: Server, at: int | None) -> float | None:
    """Return how many seconds before the newest INFO reply ``at`` was, in Unix time of the server."""
    now = server_time(server)
    return None if now is None or at is None else now - at
