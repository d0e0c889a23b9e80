"""Build the wheel, and install it into a virtual environment of its own. No network is needed.

The dependencies are those that ``make`` has installed from the lock file. Only their folder is added to the path of
the new environment. The checkout is not on that path.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def install(checkout: Path, folder: Path) -> Path:
    """Return the Python interpreter of an environment with the wheel of a checkout."""
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels), str(checkout)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = wheels.glob("redis_pulse-*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    packages = _site_packages(python)
    unpack = ["install", "--no-deps", "--no-index", "--target", str(packages), str(wheel)]
    subprocess.run([*pip, *unpack], check=True)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = subprocess.run(
        [str(python), "-c", "import redis_pulse; print(redis_pulse.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    ).stdout.strip()
    if not Path(found).is_relative_to(packages):
        raise RuntimeError(f"the wheel is installed, but Python imports {found}")
    return python


def _site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ran = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return Path(ran.stdout.strip())
