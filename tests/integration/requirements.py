"""Skip a test if a tool is not installed, and name its package. In CI the test fails instead."""

import os
import shutil
from pathlib import Path
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


def need_npm_file(package: str, name: str) -> Path:
    """Return a file of an npm package, or skip this test and name the package to install.

    Debian has no such package. ``.ci/run`` installs it if the registry of npm is reachable.
    """
    folders = [Path(folder) for folder in os.environ.get("NODE_PATH", "").split(os.pathsep) if folder]
    folders += [Path(folder) / "node_modules" for folder in ("/usr/lib", "/usr/local/lib", "/usr/share", ".venv")]
    for folder in folders:
        if (file := folder / package / name).is_file():
            return file
    pytest.skip(f"{package} is not installed: npm install --global {package}")
