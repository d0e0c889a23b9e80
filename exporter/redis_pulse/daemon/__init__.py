"""Build the daemon, then start, serve, reload, drain and stop it."""

from redis_pulse.daemon.lifecycle import run, serve

__all__ = ["run", "serve"]
