"""For all tests: settings of the shell have no effect, and generated examples have no deadline."""

import os

import pytest
from hypothesis import settings

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
