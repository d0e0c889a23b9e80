from redis_pulse.collectors.support.scan import Names, Scan, together
from redis_pulse.config.option_types import KeyAt
from tests.fakes import HandClock


def scan(db: int, latest: list[bytes] | None, under_way: list[bytes], limit: int = 2) -> Scan[Names]:
    def names(keys: list[bytes]) -> Names:
        made = Names(limit)
        made.take_all(keys)
        return made

    one = Scan(KeyAt(db, "*"), lambda: Names(limit), HandClock())
    one.under_way = names(under_way)
    one.latest = None if latest is None else names(latest)
    return one


def test_the_first_names_are_kept_and_the_others_counted() -> None:
    names = Names(2)
    names.take_all([b"a", b"b", b"a", b"c", b"d", b"c"])
    assert (list(names.kept), names.more) == ([b"a", b"b"], 2)


def test_the_newest_complete_pass_counts_and_before_the_first_what_was_found_so_far() -> None:
    assert together([scan(0, [b"a"], [b"b"]), scan(1, None, [b"a"])], 10) == ([(0, b"a"), (1, b"a")], 0)


def test_all_scans_together_have_one_limit() -> None:
    names, more = together([scan(0, [b"a", b"b", b"c"], []), scan(0, [b"a", b"d"], [])], 2)
    assert (names, more) == ([(0, b"a"), (0, b"b")], 2)
