"""Make the packages of the repository importable. A benchmark is run by path: ``python bench/fleet.py``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: The folder that contains the package ``redis_pulse``.
PACKAGES = ROOT / "exporter"
sys.path[:0] = [str(ROOT), str(PACKAGES)]
