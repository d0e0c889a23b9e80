"""What fills a server, in a terminal: ``redis-pulse keyspace TARGET``."""

from redis_pulse.keyspace_terminal.command import parser, run

__all__ = ["parser", "run"]
