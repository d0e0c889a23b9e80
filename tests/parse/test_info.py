import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.info import (
    MAX_FIELDS_PER_SECTION,
    MAX_LINE_LENGTH,
    MAX_PAIRS,
    MAX_SECTIONS,
    SECTIONS,
    InfoParser,
    ReplicaInfo,
    has_fields,
    parse_info,
    parse_pairs,
    parse_replica,
)
from tests import recordings


def test_sections_and_fields_are_split_and_values_stay_text() -> None:
    text = "# Server\r\nredis_version:7.0.15\r\nrun_id:1234567890\r\n\r\n# CPU\r\nused_cpu_sys:0.015996\r\n"
    assert parse_info(text) == {
        "Server": {"redis_version": "7.0.15", "run_id": "1234567890"},
        "CPU": {"used_cpu_sys": "0.015996"},
    }


def test_all_text_after_the_first_colon_is_the_value() -> None:
    """Paths, IPv6 addresses and clock names contain colons, equals signs and commas."""
    text = "# Server\nexecutable:/opt/a,b=c:d\nmaster_host:fe80::1%eth0\nmonotonic_clock:X86 TSC @ 2445.30 ticks/us\n"
    assert parse_info(text)["Server"] == {
        "executable": "/opt/a,b=c:d",
        "master_host": "fe80::1%eth0",
        "monotonic_clock": "X86 TSC @ 2445.30 ticks/us",
    }


@pytest.mark.parametrize("server", recordings.SERVERS)
@pytest.mark.parametrize("role", recordings.ROLES)
def test_lf_and_crlf_have_the_same_meaning(server: str, role: str) -> None:
    text = recordings.info(server, role).decode()
    assert parse_info(text) == parse_info(text.replace("\r\n", "\n"))


def test_only_line_ends_end_a_line() -> None:
    """str.splitlines() would also split at these characters, which the name of a client may contain."""
    assert parse_info("# A\r\nname:one\x0btwo\x1cthree\u2028four\r\n") == {
        "A": {"name": "one\x0btwo\x1cthree\u2028four"}
    }


def test_fields_before_any_heading_are_in_a_section_without_a_name() -> None:
    assert parse_info("hz:10\r\n# Server\r\nhz:20\r\n") == {"": {"hz": "10"}, "Server": {"hz": "20"}}


def test_repeated_section_is_merged_and_the_last_value_counts() -> None:
    assert parse_info("# A\nx:1\ny:1\n# B\nx:5\n# A\nx:2\n") == {"A": {"x": "2", "y": "1"}, "B": {"x": "5"}}


def test_empty_section_is_kept() -> None:
    assert parse_info("# Keyspace\r\n") == {"Keyspace": {}}


def test_heading_may_contain_a_colon() -> None:
    assert parse_info("# Odd: heading\nx:1\n") == {"Odd: heading": {"x": "1"}}


def test_other_lines_are_skipped() -> None:
    assert parse_info("# A\nfree text\n\n\r\n   \nx:1") == {"A": {"x": "1"}}
    assert parse_info("") == {}


@given(st.text())
def test_any_text_is_split(text: str) -> None:
    for fields in parse_info(text).values():
        assert all(isinstance(value, str) and ":" not in field for field, value in fields.items())


_WORD = (
    st.text(st.characters(exclude_characters="\r\n:#(", exclude_categories=["C"]), min_size=1)
    .map(str.strip)
    .filter(lambda word: word and word.lower() not in SECTIONS and not word.startswith("db"))
)


@given(st.dictionaries(_WORD, st.dictionaries(_WORD, st.text(st.characters(exclude_characters="\r\n")))))
def test_written_info_is_read_back(info: dict[str, dict[str, str]]) -> None:
    lines = (
        f"# {section}\r\n" + "".join(f"{k}:{v}\r\n" for k, v in fields.items()) for section, fields in info.items()
    )
    assert parse_info("\r\n".join(lines)) == info


def test_pairs_are_read_by_name() -> None:
    assert parse_pairs("keys=1,expires=0,avg_ttl=0") == {"keys": "1", "expires": "0", "avg_ttl": "0"}
    assert parse_pairs("name=a=b,flag,empty=,") == {"name": "a=b", "empty": ""}
    assert parse_pairs("") == {}


@given(st.text())
def test_any_text_is_read_as_pairs(text: str) -> None:
    assert all("," not in key + value for key, value in parse_pairs(text).items())


@pytest.mark.parametrize(
    ("text", "replica"),
    [
        ("ip=10.0.0.7,port=6379,state=online,offset=2228,lag=0", ("10.0.0.7", "6379", "online", "2228", "0")),
        ("ip=::1,port=6379,state=wait_bgsave,offset=0,lag=5", ("::1", "6379", "wait_bgsave", "0", "5")),
        ("ip=h,port=1,state=online,offset=7,lag=1,type=replica", ("h", "1", "online", "7", "1")),
        ("ip=10.0.0.7,port=6379,state=online,offset=9", ("10.0.0.7", "6379", "online", "9", None)),
        ("lag=1,offset=2,state=online,port=3,ip=h", ("h", "3", "online", "2", "1")),
    ],
)
def test_replica_is_read_by_name(text: str, replica: tuple[str, ...]) -> None:
    assert parse_replica(text) == ReplicaInfo(*replica)


@pytest.mark.parametrize(
    "text", ["", "online", "ip=10.0.0.7", "port=1,state=online", "ip=,port=1", "10.0.0.7,6379,online"]
)
def test_replica_without_an_address_is_none(text: str) -> None:
    assert parse_replica(text) is None


@given(st.text())
def test_any_text_is_a_replica_or_none(text: str) -> None:
    replica = parse_replica(text)
    assert replica is None or (replica.ip and replica.port)


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("CommandStats", "Commandstats"),
        ("Cpu", "CPU"),
        ("Replication(MASTER)", "Replication"),
        ("keyspace", "Keyspace"),
    ],
)
def test_known_section_has_the_name_in_redis(heading: str, section: str) -> None:
    assert parse_info(f"# {heading}\nx:1\n") == {section: {"x": "1"}}


def test_comment_inside_a_section_is_not_a_heading() -> None:
    """Pika writes comments with the time of the key count, and with the storage that the next lines describe."""
    text = "# Keyspace\n# Time:2023-04-14 01:16:01\n# Duration: 37s\ndb0:keys=1\n# RocksDB\n#hash_ RocksDB\nx:1\n"
    assert parse_info(text) == {"Keyspace": {"db0": "keys=1"}, "RocksDB": {"x": "1"}}


def test_key_types_of_a_database_are_summed() -> None:
    text = (
        "# Keyspace\ndb0 Strings_keys=5, expires=2, invalid_keys=1\ndb0 Sets_keys=3, expires=1, invalid_keys=0\n"
        "db1 Lists_keys=0, expires=0, invalid_keys=0\n"
    )
    assert parse_info(text) == {"Keyspace": {"db0": "keys=8,expires=3", "db1": "keys=0,expires=0"}}


def test_headings_alone_are_not_fields() -> None:
    assert not has_fields(parse_info("# Server\r\n# everything\r\n"))
    assert has_fields(parse_info("# Server\r\nhz:10\r\n"))


def test_fields_and_sections_beyond_a_limit_are_counted() -> None:
    """A server chooses how many there are."""
    parser = InfoParser()
    parser.feed("# A\n" + "".join([f"field{number}:1\n" for number in range(MAX_FIELDS_PER_SECTION + 7)]))
    assert parser.dropped == 7
    assert len(parser.result()["A"]) == MAX_FIELDS_PER_SECTION
    parser.feed("".join([f"# S{number}\nx:1\n" for number in range(MAX_SECTIONS + 3)]))
    assert parser.dropped == 7 + 4
    assert len(parser.result()) == MAX_SECTIONS


def test_value_of_a_long_line_is_cut() -> None:
    assert parse_info("os:" + "x" * 1_000_000) == {"": {"os": "x" * (MAX_LINE_LENGTH - 3)}}


def test_pairs_of_one_line_have_a_limit() -> None:
    assert len(parse_pairs(",".join([f"a{number}=1" for number in range(600)]))) == MAX_PAIRS
