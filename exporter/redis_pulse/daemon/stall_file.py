"""Keeps the records of stalls in a file, so that a restart of the daemon does not lose them."""

from functools import partial
from pathlib import Path

from redis_pulse import log
from redis_pulse.blocking import FILES
from redis_pulse.line_file import LineFile
from redis_pulse.stalls import StallRecord, StallRegistry, read_records, to_line
from redis_pulse.stalls.record_file import BACKUPS, MAX_BYTES
from redis_pulse.telemetry import ExporterMetrics

#: Seconds for reading the records at the start.
READ_TIMEOUT = 5.0
#: Records hold names of clients, and arguments with ``show_commands``: only the owner may read them.
_MODE = 0o600


class StallFile:
    """Reads the newest records of a file at the start, and appends each record that ends.

    A disk that is full, slow or missing costs lines of this file only. They are counted, and logged once.
    """

    def __init__(self, file: Path, registry: StallRegistry, metrics: ExporterMetrics) -> None:
        self._file = file
        self._registry = registry
        self._metrics = metrics
        self._log = log.get("stalls")
        self._changes = log.StateChangeFilter()
        self._lines = LineFile(file, max_bytes=MAX_BYTES, backups=BACKUPS, on_lost=self._on_lost, mode=_MODE)

    async def start(self) -> None:
        """Read the file, and write all new records to it."""
        try:
            stored = await FILES.run(self._file, partial(read_records, self._file), within=READ_TIMEOUT)
        except OSError as error:
            self._log.warning("records not read", file=str(self._file), error=error.strerror or str(error))
        else:
            self._registry.restore(stored.records)
            if stored.damaged:
                self._log.warning("lines that are no records", file=str(self._file), lines=stored.damaged)
        self._registry.on_record = self._write

    async def stop(self) -> None:
        """Write the records that wait."""
        await self._lines.stop()

    def _write(self, record: StallRecord) -> None:
        self._lines.write(to_line(record))

    def _on_lost(self, count: int, reason: str) -> None:
        self._metrics.stall_records_lost.inc(count)
        if self._changes.changed("stalls", reason):
            self._log.warning("records not written", file=str(self._file), error=reason)
