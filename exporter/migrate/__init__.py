"""Coming over from redis_exporter: its flags and variables in, a configuration of ours out.

    redis-pulse migrate-flags -- -redis.addr=redis://cart:6379 -export-client-list

``table`` has a row a flag; from it the documentation is rendered too. No password is ever shown: it goes to a file.
"""

from collections.abc import Mapping, Sequence

from exporter.collectors import load
from exporter.migrate.draft import draft
from exporter.migrate.given import read
from exporter.migrate.table import TABLE, VERSION, Row
from exporter.migrate.write import write

__all__ = ["TABLE", "VERSION", "Row", "migrate"]


def migrate(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the YAML that does what redis_exporter did with these flags, ``NAME=value`` words and this environment."""
    known = {name: collector.default for name, collector in load().items()}
    return write(draft(read(words, environ), known))
