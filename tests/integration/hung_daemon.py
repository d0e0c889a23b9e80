"""The daemon with an event loop that hangs for good once it is told to (SIGUSR1).

``python -m tests.integration.hung_daemon`` takes what ``python -m redis_pulse`` takes.
"""

import asyncio
import signal
import sys
import time
from functools import partial

from redis_pulse import cli
from redis_pulse.daemon import lifecycle


def hang() -> None:
    """Wait as a call that never returns would."""
    while True:
        time.sleep(60)


async def obey() -> None:
    """Hang at SIGUSR1: on the loop, so that nothing else runs on it any more."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
    await told.wait()
    hang()


if __name__ == "__main__":
    lifecycle.run = partial(lifecycle.run, alongside=obey)
    sys.exit(cli.main())
