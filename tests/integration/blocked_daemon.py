"""The daemon with its own event loop blocked again and again: what it measures must not show it.

``python -m tests.integration.blocked_daemon`` takes what ``python -m redis_pulse`` takes.
"""

import asyncio
import sys
import time
from functools import partial

from redis_pulse import cli
from redis_pulse.daemon import lifecycle

#: Seconds: so long nothing else runs on the loop, and so long is a round.
BLOCKED, ROUND = 0.02, 0.1


async def block() -> None:
    """Compute, as a page or a poll that is much too slow would; for ever."""
    while True:
        end = time.perf_counter() + BLOCKED
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(ROUND - BLOCKED)


if __name__ == "__main__":
    lifecycle.run = partial(lifecycle.run, alongside=block)
    sys.exit(cli.main())
