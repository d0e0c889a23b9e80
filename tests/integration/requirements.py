"""A tool that is not installed: skip and say which package brings it; in CI its absence is a failure."""

import os
import shutil
from typing import NoReturn

import pytest


def need(tool: str, package: str) -> str:
    """Return the path of ``tool``, or skip this test, naming the Debian package to install."""
    path = shutil.which(tool)
    if path is None:
        missing(f"{tool} is not installed: apt-get install {package}")
    return path


def missing(reason: str) -> NoReturn:
    """Skip for that reason; fail where ``CI`` is set, so that nothing is skipped there unseen."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(reason)
