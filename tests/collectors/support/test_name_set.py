from redis_pulse.collectors.support.scan import KeyScan, NameSet, merge_names
from redis_pulse.config.option_types import DatabaseKey
from tests.fakes import ManualClock


def scan(db: int, latest: list[bytes] | None, under_way: list[bytes], limit: int = 2) -> KeyScan[NameSet]:
    def names(keys: list[bytes]) -> NameSet:
        made = NameSet(limit)
        made.add_all(keys)
        return made

    one = KeyScan(DatabaseKey(db, "*"), lambda: NameSet(limit), ManualClock())
    one.under_way = names(under_way)
    one.latest = None if latest is None else names(latest)
    return one


def test_the_first_names_are_kept_and_the_others_counted() -> None:
    names = NameSet(2)
    names.add_all([b"a", b"b", b"a", b"c", b"d", b"c"])
    assert (list(names.kept), names.more) == ([b"a", b"b"], 2)


def test_the_newest_complete_pass_counts_and_before_the_first_what_was_found_so_far() -> None:
    assert merge_names([scan(0, [b"a"], [b"b"]), scan(1, None, [b"a"])], 10) == ([(0, b"a"), (1, b"a")], 0)


def test_all_scans_together_have_one_limit() -> None:
    names, more = merge_names([scan(0, [b"a", b"b", b"c"], []), scan(0, [b"a", b"d"], [])], 2)
    assert (names, more) == ([(0, b"a"), (0, b"b")], 2)
