"""Times are compared by the clock of the server only."""

import pytest

from redis_pulse.collectors.support.server_clock import age, server_time
from redis_pulse.server_info import Server


def test_age_is_by_the_clock_of_the_server() -> None:
    server = Server(fields={"server_time_usec": "1000500000"})
    assert server_time(server) == 1000.5
    assert age(server, 990) == 10.5
    assert age(server, None) is None


@pytest.mark.parametrize("fields", [{}, {"server_time_usec": "soon"}, {"server_time_usec": "-1"}])
def test_server_without_a_clock_has_no_times(fields: dict[str, str]) -> None:
    assert age(Server(fields=fields), 1000) is None
