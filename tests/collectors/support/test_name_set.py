from redis_pulse.collectors.support.scan import KeyScan, NameSet, merge_names
from redis_pulse.config.option_types import DatabaseKey
from tests.fakes import ManualClock


def scan(db: int, latest: list[bytes] | None, current: list[bytes], limit: int = 2) -> KeyScan[NameSet]:
    def names(keys: list[bytes]) -> NameSet:
        result = NameSet(limit)
        result.add_all(keys)
        return result

    one = KeyScan(DatabaseKey(db, "*"), lambda: NameSet(limit), ManualClock())
    one.current = names(current)
    one.latest = None if latest is None else names(latest)
    return one


def test_first_names_are_kept_and_other_names_counted() -> None:
    names = NameSet(2)
    names.add_all([b"a", b"b", b"a", b"c", b"d", b"c"])
    assert (list(names.kept), names.more) == ([b"a", b"b"], 2)


def test_newest_complete_pass_is_used_or_else_the_names_found_so_far() -> None:
    assert merge_names([scan(0, [b"a"], [b"b"]), scan(1, None, [b"a"])], 10) == ([(0, b"a"), (1, b"a")], 0)


def test_all_scans_share_one_limit() -> None:
    names, more = merge_names([scan(0, [b"a", b"b", b"c"], []), scan(0, [b"a", b"d"], [])], 2)
    assert (names, more) == ([(0, b"a"), (0, b"b")], 2)
