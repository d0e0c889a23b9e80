"""Makes what the tests use importable: a benchmark is run by its path, ``python bench/fleet.py``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
