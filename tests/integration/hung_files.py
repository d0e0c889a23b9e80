"""The daemon on a file system that hangs. A file ``X`` cannot be opened while a file ``X.hangs`` exists.

``python -m tests.integration.hung_files`` has the same arguments as ``python -m redis_pulse``.
"""

import os
import sys
import time
from typing import Any

from redis_pulse import cli

_open = os.open


def _open_unless_it_hangs(path: Any, *arguments: Any, **options: Any) -> int:
    while os.path.lexists(f"{path}.hangs"):
        time.sleep(0.02)
    return _open(path, *arguments, **options)


if __name__ == "__main__":
    os.open = _open_unless_it_hangs
    sys.exit(cli.main())
