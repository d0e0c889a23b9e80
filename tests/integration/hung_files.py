"""The daemon on a file system that hangs: no file is opened while there is one of its name and ``.hangs``.

``python -m tests.integration.hung_files`` takes what ``python -m redis_pulse`` takes.
"""

import os
import sys
import time
from typing import Any

from redis_pulse import cli

_open = os.open


def _open_when_it_answers(path: Any, *arguments: Any, **more: Any) -> int:
    while os.path.lexists(f"{path}.hangs"):
        time.sleep(0.02)
    return _open(path, *arguments, **more)


if __name__ == "__main__":
    os.open = _open_when_it_answers
    sys.exit(cli.main())
