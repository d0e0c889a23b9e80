"""An answer that the server wrote before the stall was over is no state after the stall."""

import pytest

from redis_pulse.commands import Args
from tests.harness import eventually
from tests.stalls.test_monitor import MonitorHarness


def info_at(server_time: float) -> bytes:
    return (
        f"run_id:a\r\nused_cpu_user:1.0\r\nused_cpu_sys:0.0\r\nserver_time_usec:{round(server_time * 1e6)}\r\n".encode()
    )


def is_enquiry(args: Args) -> bool:
    return args[0] == "LATENCY"


@pytest.mark.parametrize(("held", "enquiries"), [(0.0, 1), (0.4, 2)])
async def test_server_is_queried_again_if_its_reply_was_held_back(held: float, enquiries: int) -> None:
    """The reply to INFO leaves at the end of a turn. A script of another client may run before that."""
    watched = MonitorHarness()
    watched.replies["INFO"] = info_at(1_000_000 + watched.clock())
    await watched.snapshot()
    watched.gate.clear()
    due = watched.clock.advance(1.0)
    watched.clock.advance(0.1)
    watched.monitor.on_overdue(due)
    await eventually(lambda: any(map(is_enquiry, watched.sent)))
    watched.clock.advance(0.9)
    watched.replies["INFO"] = info_at(1_000_000 + watched.clock() - held)
    watched.gate.set()
    watched.reply(due, 0.9)
    watched.reply(watched.clock(), 0.001)
    await watched.ended()
    assert sum(map(is_enquiry, watched.sent)) == enquiries
    await watched.monitor.close()
