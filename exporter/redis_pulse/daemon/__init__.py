"""Put everything together: start, serve, reload, drain and stop."""

from redis_pulse.daemon.lifecycle import run, serve

__all__ = ["run", "serve"]
