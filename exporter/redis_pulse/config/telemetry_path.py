"""Paths that the metrics cannot have: one list and one check for settings, ``migrate-flags`` and routes."""

import re

#: Each is a page. One that ends with ``/`` is taken with all that is below it.
RESERVED_PATHS = ("/", "/scrape", "/sd", "/health", "/-/", "/redis/")
_PATH = re.compile(r"/[A-Za-z0-9/._~-]*")


def _is_reserved(path: str) -> bool:
    return any(
        path == taken or (taken != "/" and taken.endswith("/") and path.startswith(taken)) for taken in RESERVED_PATHS
    )


def telemetry_path_error(path: str) -> str:
    """Return what is wrong with a path for the metrics; empty when nothing is."""
    if not _PATH.fullmatch(path) or path == "/":
        return "must be a path such as /metrics"
    return "belongs to another page; choose a path such as /metrics" if _is_reserved(path) else ""
