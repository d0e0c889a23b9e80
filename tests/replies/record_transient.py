"""Record replies that exist only for a while: of a full resynchronisation, of loading, and of a migration of slots.

    python -m tests.replies.record_transient /path/to/valkey-server

It needs Valkey 9.1 or later, and writes into ``tests/replies/transient/``. ``docs/metrics.md`` marks fields that no
recording has, so these fields must be in one.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.replies.record import HERE, Connection, anonymize, to_json
from tests.replies.record_session import eventually, port_of, start

FOLDER = HERE / "transient"
#: Microseconds for each key.
DELAY = 600_000_000


def main(binary: str) -> None:
    """Start servers, bring them into the states, and record the replies."""
    work = Path(tempfile.mkdtemp())
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work)

        def launch(name: str, *options: str) -> tuple[subprocess.Popen[bytes], Connection]:
            process, connection = start(binary, work / name, 'save ""', *options, sentinel=False)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process, connection

        _, master = launch("master", "repl-diskless-sync-delay 0", f"rdb-key-save-delay {DELAY}")
        for number in range(100):
            master.execute("SET", f"key:{number}", number)
        _, replica = launch("replica", f"replicaof 127.0.0.1 {port_of(master)}")
        eventually(lambda: b"master_sync_in_progress:1" in replica.execute("INFO", "replication"))
        (FOLDER / "full-sync.txt").write_bytes(anonymize(replica.execute("INFO", "everything")))

        _, saved = launch("saved")
        for number in range(5000):
            saved.execute("SET", f"key:{number}", "x" * 100)
        saved.execute("SAVE")
        (work / "loading").mkdir()
        shutil.copy(work / "saved" / "dump.rdb", work / "dump.rdb")
        (work / "loading").rmdir()
        _, loading = launch(
            "loading", f"dir {work}", "key-load-delay 50000", "loading-process-events-interval-bytes 1024"
        )
        eventually(lambda: b"loading:1" in loading.execute("INFO", "persistence"))
        (FOLDER / "loading.txt").write_bytes(anonymize(loading.execute("INFO", "everything")))

        cluster = "cluster-enabled yes", "cluster-node-timeout 600000"
        (_, source), (_, destination) = launch("source", *cluster), launch("destination", *cluster)
        source.execute("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        destination.execute("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        destination.execute("CLUSTER", "SET-CONFIG-EPOCH", 2)
        source.execute("CLUSTER", "MEET", "127.0.0.1", port_of(destination))
        eventually(lambda: b"cluster_known_nodes:2" in source.execute("CLUSTER", "INFO"))
        node = destination.execute("CLUSTER", "MYID").decode()
        eventually(lambda: b"cluster_state:ok" in source.execute("CLUSTER", "INFO"))
        source.execute("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, 10, "NODE", node)
        reply = source.execute("CLUSTER", "GETSLOTMIGRATIONS")
        (FOLDER / "slot-migrations.json").write_text(json.dumps(to_json(reply), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
