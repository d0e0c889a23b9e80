"""Blocks in any order are one gzip stream, which every reader of gzip reads to its end."""

import gzip
import random
import zlib
from collections.abc import Sequence

from redis_pulse.deflate import (
    GZIP_HEADER,
    MAX_BLOCK,
    STEP,
    Block,
    Stream,
    compress,
    compress_once,
    decompress,
    inflate,
)


def lines(count: int, seed: int = 0) -> bytes:
    numbers = random.Random(seed)
    return b"".join([b'redis_x{target="t%d"} %d\n' % (one, numbers.randrange(10**9)) for one in range(count)])


def blocks_of(text: bytes) -> tuple[Block, ...]:
    return compressed(text)[1]


def compressed(text: bytes) -> tuple[int, tuple[Block, ...]]:
    """Return the number of pauses, and the blocks."""
    pauses, work = 0, compress(text)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return pauses, end.value
        pauses += 1


def stream_of(parts: Sequence[bytes | tuple[Block, ...]]) -> Stream:
    stream = Stream()
    for part in parts:
        if isinstance(part, bytes):
            for start in range(0, len(part), STEP):
                stream.text(part[start : start + STEP])
        else:
            stream.blocks(part)
    stream.end()
    return stream


def test_text_and_blocks_in_any_order_are_one_gzip_stream() -> None:
    texts = [lines(count, count) for count in (1, 30, 3000, 0, 200)]
    numbers = random.Random(5)
    for _ in range(20):
        wanted, parts = b"", list[bytes | tuple[Block, ...]]()
        for text in numbers.choices(texts, k=numbers.randrange(8)):
            wanted += text
            parts.append(text if numbers.random() < 0.5 else blocks_of(text))
        stream = stream_of(parts)
        packed = GZIP_HEADER + b"".join(stream.parts) + stream.gzip_trailer
        assert gzip.decompress(packed) == wanted
        first_member = zlib.decompressobj(31)  # curl and httpx read no other
        assert first_member.decompress(packed) == wanted
        assert first_member.eof
        assert not first_member.unused_data
        assert (stream.text_size, stream.size) == (len(wanted), sum(map(len, stream.parts)))


def test_stream_is_read_as_text_in_short_pieces() -> None:
    text = lines(50_000)
    stream = stream_of([text[:1000], blocks_of(text[1000:])])
    pieces = list(inflate(stream.parts, 16_384))
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) == 16_384


def test_long_text_is_several_blocks_and_several_steps() -> None:
    text = lines(30_000)
    pauses, blocks = compressed(text)
    assert len(blocks) == len(text) // MAX_BLOCK + 1
    assert pauses == len(text) // STEP
    assert all(block.size <= MAX_BLOCK for block in blocks)


def test_short_text_is_read_back() -> None:
    for text in (b"", b"x", lines(100)):
        assert decompress(compress_once(text)) == text
