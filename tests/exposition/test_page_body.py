"""A page is kept in pieces: short ones as text, long ones compressed, and sent in both encodings."""

import gzip

import pytest

from redis_pulse.deflate import STEP, compress
from redis_pulse.exposition.page_body import MAX_TEXT, PIECE, PageBody, PageWriter, regular

LINE = b'redis_x{target="cart"} 123456\n'


def body_of(*texts: bytes, is_gzip: bool) -> PageBody:
    writer = PageWriter(gzip=is_gzip)
    for text in texts:
        writer.text(text)
    return writer.end()


@pytest.mark.parametrize("count", [0, 1, 300, MAX_TEXT // len(LINE) * 3])
def test_both_encodings_have_the_same_text(count: int) -> None:
    plain, packed = (body_of(*[LINE] * count, is_gzip=is_gzip) for is_gzip in (False, True))
    assert bytes(plain) == gzip.decompress(bytes(packed)) == LINE * count
    for body in (plain, packed):
        pieces = list(body.pieces())
        assert sum(map(len, pieces)) == body.size
        assert max(map(len, pieces), default=0) <= PIECE


def test_long_plain_page_is_kept_compressed() -> None:
    short, long = (body_of(*[LINE] * count, is_gzip=False) for count in (10, 2 * MAX_TEXT // len(LINE)))
    assert (len(short.stored), short.size) == (10 * len(LINE), 10 * len(LINE))
    assert len(long.stored) < long.size / 10


def test_blocks_are_part_of_a_page_in_both_encodings() -> None:
    with pytest.raises(StopIteration) as end:  # it is short, so the work has no pause
        next(compress(LINE * 50))
    blocks = end.value.value
    for is_gzip in (False, True):
        writer = PageWriter(gzip=is_gzip)
        writer.text(b"# HELP\n")
        writer.blocks(blocks)
        writer.text(b"# EOF\n")
        whole = bytes(writer.end())
        assert (gzip.decompress(whole) if is_gzip else whole) == b"# HELP\n" + LINE * 50 + b"# EOF\n"


def test_pieces_are_neither_much_shorter_nor_longer_than_asked_for() -> None:
    parts = [b"x" * size for size in (1, 5, 9, 10, 25, 3, 0, 4)]
    pieces = list(regular(parts, 10))
    assert b"".join(pieces) == b"".join(parts)
    assert max(map(len, pieces)) == 10
    assert len(pieces) <= 2 * (57 // 10 + 1)
    assert STEP % PIECE == 0
