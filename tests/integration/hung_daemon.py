"""The daemon with an event loop that hangs forever after SIGUSR1.

``python -m tests.integration.hung_daemon`` has the same arguments as ``python -m redis_pulse``.
"""

import asyncio
import signal
import sys
import time
from functools import partial

from redis_pulse import cli
from redis_pulse.daemon import lifecycle


def hang() -> None:
    """Block like a call that never returns."""
    while True:
        time.sleep(60)


async def hang_on_signal() -> None:
    """Hang after SIGUSR1. This blocks the loop, so nothing else runs on it."""
    received = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, received.set)
    await received.wait()
    hang()


if __name__ == "__main__":
    lifecycle.run = partial(lifecycle.run, alongside=hang_on_signal)
    sys.exit(cli.main())
