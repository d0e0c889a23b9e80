"""What compatible servers write otherwise than Redis is read as what it means."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.info import parse_info, translated


def cpu(text: str) -> str:
    return translated({"Server": {"dragonfly_version": "df-v1"}, "CPU": {"used_cpu_sys": text}})["CPU"]["used_cpu_sys"]


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=20).map(sorted))
def test_a_cpu_time_of_dragonfly_never_runs_backwards(microseconds: list[int]) -> None:
    """It prints whole seconds, a point and the microseconds, without the zeros that lead these."""
    read = [float(cpu(f"{one // 10**6}.{one % 10**6}")) for one in microseconds]
    assert read == sorted(read)
    assert read == [float(f"{one // 10**6}.{one % 10**6:06}") for one in microseconds]


@given(st.text())
def test_another_text_stays_as_it_is(text: str) -> None:
    if text.count(".") != 1:
        assert cpu(text) == text


def test_the_cpu_time_of_a_redis_is_a_decimal_number() -> None:
    info = {"Server": {"redis_version": "7.0.0"}, "CPU": {"used_cpu_sys": "1.4"}}
    assert translated(info)["CPU"]["used_cpu_sys"] == "1.4"


def test_a_lag_is_kept_where_it_is_a_time() -> None:
    line = "ip=h,port=1,state=online,offset=5,lag=2"
    for version, left in {"redis_version": line, "kvrocks_version": line.removesuffix(",lag=2")}.items():
        info = translated({"Server": {version: "7"}, "Replication": {"slave0": line, "slave_priority": "100"}})
        assert info["Replication"] == {"slave0": left, "slave_priority": "100"}


def test_a_name_of_redis_is_not_overwritten() -> None:
    info = translated({"Server": {"dragonfly_version": "v1"}, "Clients": {"max_clients": "5", "maxclients": "7"}})
    assert info["Clients"] == {"max_clients": "5", "maxclients": "7"}


def test_keys_that_were_never_counted_are_not_none() -> None:
    """Kvrocks and Pika count keys in a scan that somebody must ask for."""
    kvrocks = "# Server\nkvrocks_version:2\n# Keyspace\nlast_dbsize_scan_timestamp:0\ndb0:keys=0,expires=0\n"
    assert "Keyspace" not in translated(parse_info(kvrocks))
    pika = (
        "# Server\npika_version:3\n# Keyspace\n# Time:1970-01-01 08:00:00\ndb0 Sets_keys=0, expires=0, invalid_keys=0\n"
    )
    assert "Keyspace" not in parse_info(pika)


_WORD = st.text(max_size=12)


@given(
    st.dictionaries(
        st.sampled_from(["Server", "CPU", "Replication", "Keyspace"]) | _WORD, st.dictionaries(_WORD, _WORD)
    )
)
def test_no_reply_breaks_it(info: dict[str, dict[str, str]]) -> None:
    for version in ("dragonfly_version", "kvrocks_version", "pika_version"):
        info.setdefault("Server", {})[version] = "1"
        translated(info)


def test_a_replica_is_a_slave_in_the_words_of_redis() -> None:
    assert translated({"Replication": {"role": "replica"}})["Replication"]["role"] == "slave"
