"""``python -m redis_pulse`` runs the command ``redis-pulse``."""

import sys

from redis_pulse.cli import main

if __name__ == "__main__":
    sys.exit(main())
