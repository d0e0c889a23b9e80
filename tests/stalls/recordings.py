"""Recorded evidence of real stalls: ``CAUSE-KIND-SERVER-NUMBER.json``, where the cause is what was done to the server.

``make stalls FULL=1 ARGS="--results FILE"`` makes such stalls, and ``python -m stalls_bench.run --judge FILE --record
FOLDER`` writes their evidence.
"""

import re
from pathlib import Path

from redis_pulse.stalls.evidence import Evidence

RECORDED = {path.stem: path for path in sorted((Path(__file__).parent / "recorded").glob("*.json"))}
EVIDENCE = {name: Evidence.from_json(path.read_text()) for name, path in RECORDED.items()}
#: On Redis 7.0 without its latency monitor, a slow disk and a stopped process look the same.
GAP = frozenset(name for name in EVIDENCE if re.search(r"_unmonitored-redis-", name))
#: Recordings whose evidence does not suffice.
UNDECIDED = frozenset({"saturated-flood-valkey-3"}) | GAP
