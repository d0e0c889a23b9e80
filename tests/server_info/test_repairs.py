"""INFO of compatible servers is translated into what Redis would have written."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.info import parse_info
from redis_pulse.server_info import repair


def cpu(text: str) -> str:
    return repair({"Server": {"dragonfly_version": "df-v1"}, "CPU": {"used_cpu_sys": text}})["CPU"]["used_cpu_sys"]


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=20).map(sorted))
def test_cpu_time_of_dragonfly_never_decreases(microseconds: list[int]) -> None:
    """It prints the seconds, a point and the microseconds without leading zeros."""
    seconds = [float(cpu(f"{one // 10**6}.{one % 10**6}")) for one in microseconds]
    assert seconds == sorted(seconds)
    assert seconds == [float(f"{one // 10**6}.{one % 10**6:06}") for one in microseconds]


@given(st.text())
def test_other_text_is_unchanged(text: str) -> None:
    if text.count(".") != 1:
        assert cpu(text) == text


def test_cpu_time_of_redis_is_a_decimal_number() -> None:
    info = {"Server": {"redis_version": "7.0.0"}, "CPU": {"used_cpu_sys": "1.4"}}
    assert repair(info)["CPU"]["used_cpu_sys"] == "1.4"


def test_lag_is_kept_if_it_is_a_time() -> None:
    line = "ip=h,port=1,state=online,offset=5,lag=2"
    for version, expected in {"redis_version": line, "kvrocks_version": line.removesuffix(",lag=2")}.items():
        info = repair({"Server": {version: "7"}, "Replication": {"slave0": line, "slave_priority": "100"}})
        assert info["Replication"] == {"slave0": expected, "slave_priority": "100"}


def test_field_of_redis_is_not_overwritten() -> None:
    info = repair({"Server": {"dragonfly_version": "v1"}, "Clients": {"max_clients": "5", "maxclients": "7"}})
    assert info["Clients"] == {"max_clients": "5", "maxclients": "7"}


def test_keys_that_were_never_counted_are_unknown() -> None:
    """Kvrocks and Pika count keys in a scan that only a command starts."""
    kvrocks = "# Server\nkvrocks_version:2\n# Keyspace\nlast_dbsize_scan_timestamp:0\ndb0:keys=0,expires=0\n"
    assert "Keyspace" not in repair(parse_info(kvrocks))
    pika = (
        "# Server\npika_version:3\n# Keyspace\n# Time:1970-01-01 08:00:00\ndb0 Sets_keys=0, expires=0, invalid_keys=0\n"
    )
    assert "Keyspace" not in parse_info(pika)


def test_mode_of_a_redict_is_its_mode() -> None:
    """Redict 7.3.6 writes ``redict_mode``."""
    assert (
        repair({"Server": {"redict_version": "7.3.6", "redict_mode": "cluster"}})["Server"]["redis_mode"] == "cluster"
    )


_WORD = st.text(max_size=12)


@given(
    st.dictionaries(
        st.sampled_from(["Server", "CPU", "Replication", "Keyspace"]) | _WORD, st.dictionaries(_WORD, _WORD)
    )
)
def test_any_reply_raises_nothing(info: dict[str, dict[str, str]]) -> None:
    for version in ("dragonfly_version", "kvrocks_version", "pika_version"):
        info.setdefault("Server", {})[version] = "1"
        repair(info)


def test_role_replica_becomes_slave() -> None:
    assert (
        repair({"Server": {"dragonfly_version": "df-v1"}, "Replication": {"role": "replica"}})["Replication"]["role"]
        == "slave"
    )
