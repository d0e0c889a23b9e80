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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait for servers among the others, so that workers wait while others compute.

    The last files are quick ones, so that no worker is busy alone at the end.
    """
    files = list(dict.fromkeys(item.path for item in items))
    waiting = list(dict.fromkeys(item.path for item in items if item.get_closest_marker("integration")))
    others = [file for file in files if file not in set(waiting)]
    place = {file: 0.7 * number / len(waiting) for number, file in enumerate(waiting)}
    place |= {file: number / len(others) for number, file in enumerate(others)}
    items.sort(key=lambda item: place[item.path])


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
