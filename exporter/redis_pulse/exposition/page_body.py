"""A page that was built, in pieces. It is never joined: 100 MB would be copied, and held for each encoding.

A long page is kept compressed only. For a plain page it is decompressed piece by piece, as fast as the client fetches
it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from redis_pulse.deflate import GZIP_HEADER, STEP, Block, Stream, inflate

#: Bytes of a plain page that is kept as text.
MAX_TEXT = 512 * 1024
#: Bytes of a piece of a body, unless its sender wants shorter ones.
PIECE = 16 * 1024


class StoredPage:
    """The parts of a page, as text or as compressed text."""

    __slots__ = ("_held", "is_packed", "parts", "stream_size", "text_size", "trailer")

    def __init__(self, parts: Sequence[bytes], text_size: int, stream: Stream | None) -> None:
        self.parts = parts
        self.is_packed = stream is not None
        self.text_size = text_size
        self.stream_size = 0 if stream is None else len(GZIP_HEADER) + stream.size + 8
        self.trailer = b"" if stream is None else stream.gzip_trailer
        self._held = self.stream_size or text_size

    def __len__(self) -> int:
        """Return the bytes that it takes in memory."""
        return self._held


class PageBody:
    """A page in one encoding, ready to be sent."""

    __slots__ = ("_is_gzip", "size", "stored")

    def __init__(self, stored: StoredPage, *, is_gzip: bool) -> None:
        self.stored = stored
        self._is_gzip = is_gzip
        #: bytes that are sent
        self.size = stored.stream_size if is_gzip else stored.text_size

    def pieces(self, longest: int = PIECE) -> Iterator[bytes]:
        """Yield the body. No piece is longer than ``longest``."""
        if self._is_gzip:
            return regular(chain((GZIP_HEADER,), self.stored.parts, (self.stored.trailer,)), longest)
        if self.stored.is_packed:
            return inflate(regular(self.stored.parts, longest), longest)
        return regular(self.stored.parts, longest)

    def __bytes__(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.pieces())


class PageWriter:
    """Takes the parts of a page. Without ``gzip`` it keeps a short page as text."""

    def __init__(self, *, gzip: bool) -> None:
        self._is_gzip = gzip
        self._stream = Stream() if gzip else None
        self._texts: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_size = self._text_size = 0

    def text(self, text: bytes) -> None:
        """Append text."""
        self._pending.append(text)
        self._pending_size += len(text)
        if self._pending_size >= STEP:
            self._flush()

    def blocks(self, blocks: Sequence[Block]) -> None:
        """Append compressed text."""
        if not blocks:
            return
        self._flush()
        if self._stream is None:
            self._stream = self._pack()
        self._stream.blocks(blocks)

    def end(self) -> PageBody:
        """Return the page."""
        self._flush()
        if self._stream is None:
            stored = StoredPage(self._texts, self._text_size, None)
        else:
            self._stream.end()
            stored = StoredPage(self._stream.parts, self._stream.text_size, self._stream)
        return PageBody(stored, is_gzip=self._is_gzip)

    def _flush(self) -> None:
        if not self._pending:
            return
        text = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending, self._pending_size = [], 0
        if self._stream is not None:
            self._stream.text(text)
            return
        self._texts.append(text)
        self._text_size += len(text)
        if self._text_size > MAX_TEXT:
            self._stream = self._pack()

    def _pack(self) -> Stream:
        stream = Stream()
        for text in self._texts:
            stream.text(text)
        self._texts = []
        return stream


def regular(parts: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces that are neither much shorter nor longer than ``longest``."""
    short: list[bytes] = []
    size = 0
    for part in parts:
        if size + len(part) > longest:
            if short:
                yield b"".join(short)
            short, size = [], 0
        if len(part) > longest:
            for start in range(0, len(part), longest):
                yield part[start : start + longest]
        else:
            short.append(part)
            size += len(part)
    if short:
        yield b"".join(short)
