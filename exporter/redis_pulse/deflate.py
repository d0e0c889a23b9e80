"""Compress text in blocks that may follow each other in any order, and join blocks to one gzip stream.

A block is raw deflate that ends at a byte and refers to nothing before it. So a block that was made once is part of
many pages. The checksum of a stream is combined from those of its blocks. Everything is one member of gzip: some
clients, such as curl, read only the first one.
"""

import struct
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from isal import isal_zlib

#: Bytes of text that are compressed by one call. It takes a tenth of a millisecond.
STEP = 32 * 1024
#: Bytes of text after which a block ends. A client that wants plain text gets a block in one step.
MAX_BLOCK = 256 * 1024
_RAW = -isal_zlib.MAX_WBITS
_LEVEL = 1
#: For texts that are seldom read: half the time, and a quarter more bytes.
_FAST = 0
#: What a gzip file begins with.
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\4\xff"
#: An empty block, which is marked as the last one.
_END = b"\3\0"


class Block(NamedTuple):
    """Compressed text: raw deflate, the CRC-32 of the text, and its length."""

    data: bytes
    crc: int
    size: int


def compress(text: bytes) -> Generator[None, None, tuple[Block, ...]]:
    """Return the blocks of a text. Yield between two steps of the work."""
    blocks = []
    for begin in range(0, len(text), MAX_BLOCK):
        end = min(begin + MAX_BLOCK, len(text))
        compressor, parts = _compressor(), []
        for start in range(begin, end, STEP):
            if start:
                yield
            parts.append(compressor.compress(text[start : min(start + STEP, end)]))
        parts.append(compressor.flush(isal_zlib.Z_FULL_FLUSH))
        blocks.append(Block(b"".join(parts), isal_zlib.crc32(text[begin:end]), end - begin))
    return tuple(blocks)


def compress_once(text: bytes) -> bytes:
    """Return a short text as raw deflate. It stays in memory, so it is compressed fast rather than well."""
    return bytes(isal_zlib.compress(text, _FAST, _RAW))


def decompress(data: bytes) -> bytes:
    """Return the text of ``compress_once``."""
    return bytes(isal_zlib.decompress(data, _RAW))


def inflate(parts: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Yield the text of raw deflate, which comes in parts. No piece is longer than ``longest``."""
    decompressor: Any = isal_zlib.decompressobj(_RAW)
    for part in parts:
        while text := decompressor.decompress(part, longest):
            yield text
            part = decompressor.unconsumed_tail  # noqa: PLW2901  # empty, but some text may wait in the decompressor


class Stream:
    """Raw deflate that grows: by text, which is compressed, and by blocks."""

    __slots__ = ("_compressor", "_is_open", "crc", "parts", "size", "text_size")

    def __init__(self) -> None:
        self._compressor: Any = _compressor()
        self._is_open = False
        self.parts: list[bytes] = []
        self.crc = 0
        #: bytes of the compressed stream, and of its text
        self.size = self.text_size = 0

    def text(self, text: bytes) -> None:
        """Append text. It should not be much longer than ``STEP``."""
        self._is_open = True
        self._append(self._compressor.compress(text))
        self.crc = isal_zlib.crc32(text, self.crc)
        self.text_size += len(text)

    def blocks(self, blocks: Sequence[Block]) -> None:
        """Append blocks."""
        if self._is_open:
            self._is_open = False
            self._append(self._compressor.flush(isal_zlib.Z_FULL_FLUSH))
        crc, combine, append = self.crc, isal_zlib.crc32_combine, self.parts.append
        packed = text = 0
        for data, block_crc, size in blocks:  # a page of 1000 targets has six thousand
            append(data)
            packed += len(data)
            text += size
            crc = combine(crc, block_crc, size)
        self.crc = crc
        self.size += packed
        self.text_size += text

    def end(self) -> None:
        """Append the last block."""
        self._append(self._compressor.flush() if self._is_open else _END)

    @property
    def gzip_trailer(self) -> bytes:
        """What comes after the parts in a gzip file. ``GZIP_HEADER`` comes before them."""
        return struct.pack("<II", self.crc, self.text_size & 0xFFFFFFFF)

    def _append(self, data: bytes) -> None:
        if data:
            self.parts.append(data)
            self.size += len(data)


def _compressor() -> Any:
    return isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW)
