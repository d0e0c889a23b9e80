"""For all tests: settings of the shell have no effect, and generated examples have no deadline."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from redis_pulse import log
from redis_pulse.client import credentials, tls

# The speed of the machine is not a property of the code.
settings.register_profile("redis-pulse", deadline=None)
settings.load_profile("redis-pulse")

#: Variables that the daemon reads, apart from ``REDIS_*``.
_PLAIN = {"DEBUG", "LOG_LEVEL"}


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all settings from the environment, so a test has only its own."""
    for name in list(os.environ):
        if name.startswith("REDIS_") or name in _PLAIN:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _files_are_read_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file of a login be late on a busy machine, where its thread waits for a core."""
    for module in (credentials, tls):
        for name in ("FIRST_READ_TIMEOUT", "REREAD_TIMEOUT"):
            monkeypatch.setattr(module, name, 60.0)


@pytest.fixture(autouse=True)
def _log_of_the_process_stays() -> Iterator[None]:
    """Undo ``log.setup``: a command that a test runs in this process sets the level for all later tests."""
    loggers = [logging.getLogger(name) for name in (None, log._ROOT, *log._LIBRARY_LEVELS)]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        if logger.level != level:
            logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(autouse=True)
def _priority_of_the_process_stays() -> Iterator[None]:
    """Take back a raised priority: a daemon that a test starts in this process raises it for all later tests."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    yield
    if os.getpriority(os.PRIO_PROCESS, 0) != before:
        os.setpriority(os.PRIO_PROCESS, 0, before)
