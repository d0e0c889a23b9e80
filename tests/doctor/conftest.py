"""Fixtures of the tests of doctor: real servers, and the command as a user runs it."""

from tests.integration.conftest import server, software, stack, start_daemon, start_server

__all__ = ["server", "software", "stack", "start_daemon", "start_server"]
