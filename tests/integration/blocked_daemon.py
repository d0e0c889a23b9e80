"""The daemon with an event loop that is blocked again and again. Its measurements must not show that.

``python -m tests.integration.blocked_daemon`` has the same arguments as ``python -m redis_pulse``.
"""

import asyncio
import sys
import time
from functools import partial

from redis_pulse import cli
from redis_pulse.daemon import lifecycle

#: Seconds for which the loop is blocked in each period, and the length of a period.
BLOCKED, PERIOD = 0.02, 0.1


async def block() -> None:
    """Compute, like a page or a poll that is much too slow, until the daemon stops."""
    while True:
        end = time.perf_counter() + BLOCKED
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(PERIOD - BLOCKED)


if __name__ == "__main__":
    lifecycle.run = partial(lifecycle.run, alongside=block)
    sys.exit(cli.main())
