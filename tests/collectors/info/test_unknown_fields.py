"""No field of a real server is unknown. It has a metric, or is a label, or is listed in ``tools/left_out.py``.

A new server version fails here until each of its new fields has a metric or is in that table.
"""

import re
from collections.abc import Iterator

import pytest

from redis_pulse import collectors
from redis_pulse.collectors.info import INSTANCE
from redis_pulse.collectors.info.keyspace import DATABASE_METRICS
from redis_pulse.parse.info import parse_info, parse_pairs
from tests import recordings, replay
from tools import left_out

METRICS = [metric for collector in collectors.load().values() for metric in collector.metrics]
#: Field, or field and pair, of each metric. Modules and users choose some names, so these are patterns.
FIELDS = {metric.field for metric in METRICS} | {f"dbN:{pair}" for pair in DATABASE_METRICS}
#: Labels that are fields: those of the server, and those of a replica.
LABELS = {*INSTANCE.labels, "master_host", "master_port", "slave_read_only"}
#: Sections whose field names are chosen by users or modules.
CHOSEN = frozenset({"Errorstats", "Latencystats", "Modules"})
#: Prefixes of lines with pairs: their spelling in metric definitions.
LINES = {
    re.compile(r"db[0-9]+_distrib_[a-z]+_(items|sizes)"): "dbN_distrib_TYPE_\\1",
    re.compile(r"db[0-9]+"): "dbN",
    re.compile(r"slave[0-9]+"): "slaveN",
    re.compile(r"master[0-9]+"): "masterN",
    re.compile(r"io_thread_[0-9]+"): "io_thread_N",
    re.compile(r"engine_[0-9]+"): "engine_N",
    re.compile(r"cmdstat_.+"): "cmdstat_X",
    re.compile(r"tls_[a-z]+_cert_serial"): "tls_X_cert_serial",
    re.compile(r"(cluster_stats_(?:[a-z]+_)?bytes)_(?:sent|received)"): "\\1_DIRECTION",
    re.compile(r"cluster_stats_messages_.+_(?:sent|received)"): "cluster_stats_messages_KIND_DIRECTION",
}
#: Lines of pairs whose names are sizes.
WITHOUT_PAIRS = ("dbN_distrib_",)


def names(info: str) -> Iterator[str]:
    """Yield each field of a reply as metric definitions spell it, and each pair of a line as ``dbN:keys``."""
    for section, fields in parse_info(info).items():
        if section in CHOSEN or section.startswith(tuple("abcdefghijklmnopqrstuvwxyz")):  # those of modules
            continue
        for field, text in fields.items():
            for pattern, name in LINES.items():
                if pattern.fullmatch(field):
                    spelled = pattern.sub(name, field)
                    pairs = () if spelled.startswith(WITHOUT_PAIRS) else parse_pairs(text)
                    yield from (f"{spelled}:{pair}" for pair in pairs) if pairs else (spelled,)
                    break
            else:
                yield re.sub(r"(?<=listener)[0-9]+|(?<=used_active_time_io_thread_)[0-9]+", "N", field)


def unknown(info: str) -> list[str]:
    """Return the fields of a reply that have no metric, are no label, and are not listed as left out."""
    return [name for name in dict.fromkeys(names(info)) if name not in FIELDS | LABELS and not left_out.reason(name)]


def test_field_that_no_table_has_is_found() -> None:
    """So the tests below would fail."""
    assert unknown("# Stats\r\nevicted_keys:1\r\nnew_counter:1\r\n# Keyspace\r\ndb0:keys=1,news=2\r\n") == [
        "new_counter",
        "dbN:news",
    ]


@pytest.mark.parametrize("server", recordings.SERVERS)
@pytest.mark.parametrize("role", recordings.ROLES)
def test_no_field_of_a_recorded_server_is_unknown(server: str, role: str) -> None:
    assert unknown(recordings.info(server, role).decode()) == []


@pytest.mark.parametrize("server", sorted({path.parent.name for path in recordings.REPLIES.glob("*/session-cluster*")}))
def test_no_field_of_a_recorded_cluster_node_is_unknown(server: str) -> None:
    sessions = replay.recorded_sessions(server)
    [replies] = [replies for (_, args), replies in sessions["cluster"].items() if args == ("INFO", "everything")]
    assert unknown(replies[-1].decode()) == []
