"""One list of paths that the metrics cannot have: what one place takes, no other place refuses."""

import pytest

from redis_pulse.config import telemetry_path_error
from redis_pulse.config.url import RESERVED_PATHS
from redis_pulse.migrate import values


@pytest.mark.parametrize("path", [*RESERVED_PATHS, "/-/healthy", "/redis/ping", "metrics", "/m?x", "/m x", ""])
def test_a_path_of_another_page_is_refused_here_and_by_migrate_flags(path: str) -> None:
    assert telemetry_path_error(path)
    with pytest.raises(ValueError, match=r"must be a path|belongs to another page"):
        values.telemetry_path(path)


@pytest.mark.parametrize("path", ["/metrics", "/m", "/scrape/all", "/redis", "/healthz", "/a/b.c"])
def test_any_other_path_is_taken_here_and_by_migrate_flags(path: str) -> None:
    assert telemetry_path_error(path) == ""
    assert values.telemetry_path(path) == path
