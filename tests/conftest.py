"""What holds for every test: no setting leaks in from the shell, and generated examples have no deadline."""

import os

import pytest
from hypothesis import settings

# The machine's speed is not a property of the code.
settings.register_profile("redis-pulse", deadline=None)
settings.load_profile("redis-pulse")

#: Variables that the daemon reads besides ``REDIS_*``.
_PLAIN = {"DEBUG", "LOG_LEVEL"}


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees only the settings that it makes itself."""
    for name in list(os.environ):
        if name.startswith("REDIS_") or name in _PLAIN:
            monkeypatch.delenv(name)
