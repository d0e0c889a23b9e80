"""Who the server of a target is, in a few words."""

from dataclasses import replace

import pytest

from redis_pulse.web.pages.server_line import server_words
from tests.web.pages import scenes


@pytest.mark.parametrize(
    ("software", "version", "mode", "role", "service", "expected"),
    [
        ("valkey", "8.0.1", "cluster", "master", "elasticache", "Valkey 8.0.1 cluster master at Amazon ElastiCache"),
        ("keydb", "6.3.4", "standalone", "slave", "", "KeyDB 6.3.4 slave"),
        ("redis", "7.0.15", "sentinel", "sentinel", "", "Redis 7.0.15 sentinel"),
        ("upstash", "1.13.3", "standalone", "", "upstash", "Upstash 1.13.3"),
        ("other", "1", "", "", "", "Other 1"),
        ("", "", "", "", "", ""),
    ],
)
def test_unknown_and_usual_parts_are_left_out(
    software: str, version: str, mode: str, role: str, service: str, expected: str
) -> None:
    view = replace(scenes.target("cart"), software=software, version=version, mode=mode, role=role, service=service)
    assert server_words(view) == expected
