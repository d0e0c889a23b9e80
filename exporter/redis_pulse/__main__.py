"""``python -m redis_pulse`` is the command ``redis-pulse``."""

import sys

from redis_pulse.cli import main

if __name__ == "__main__":
    sys.exit(main())
