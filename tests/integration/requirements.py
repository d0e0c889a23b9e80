"""Skip a test if a tool is not installed, and name its package. In CI the test fails instead."""

import os
import shutil
from typing import NoReturn

import pytest


def need(tool: str, package: str) -> str:
    """Return the path of ``tool``, or skip this test and name the Debian package to install."""
    path = shutil.which(tool)
    if path is None:
        missing(f"{tool} is not installed: apt-get install {package}")
    return path


def missing(reason: str) -> NoReturn:
    """Skip the test for this reason. Fail if ``CI`` is set, so CI does not skip tests silently."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs this: {reason}")
    pytest.skip(reason)
