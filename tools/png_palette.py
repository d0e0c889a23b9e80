"""Write a screenshot as a small PNG with at most 256 colours: ``python -m tools.png_palette FROM TO [ROWS]``.

It reads what Chromium writes: 8 bits, RGB or RGBA, without interlacing.
"""

import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

Colour = tuple[int, int, int]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read(data: bytes) -> tuple[int, list[bytes], int]:
    """Return width, rows and bytes of a pixel of a PNG."""
    body, width, depth = b"", 0, 0
    for kind, content in _chunks(data):
        if kind == b"IHDR":
            width, _, bits, depth = struct.unpack(">IIBB", content[:10])
            if bits != 8 or depth not in (2, 6):
                raise ValueError("only 8 bits of RGB or RGBA are supported")
        elif kind == b"IDAT":
            body += content
    size = {2: 3, 6: 4}[depth]
    return width, list(_rows(zlib.decompress(body), width * size, size)), size


def write(width: int, rows: list[bytes], size: int) -> bytes:
    """Return a PNG with the most frequent colours. A rare colour becomes the nearest of them."""
    counts: Counter[Colour] = Counter()
    for row in rows:
        counts.update(zip(row[0::size], row[1::size], row[2::size], strict=True))
    palette = [colour for colour, _ in counts.most_common(256)]
    known = {colour: index for index, colour in enumerate(palette)}

    def index_of(colour: Colour) -> int:
        if (found := known.get(colour)) is None:
            found = known[colour] = min(range(len(palette)), key=lambda index: _distance(palette[index], colour))
        return found

    pixels = b"".join(
        b"\0" + bytes(index_of(colour) for colour in zip(row[0::size], row[1::size], row[2::size], strict=True))
        for row in rows
    )
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)
    colours = b"".join(bytes(colour) for colour in palette)
    parts = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _distance(one: Colour, other: Colour) -> int:
    return sum((first - second) ** 2 for first, second in zip(one, other, strict=True))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _rows(raw: bytes, stride: int, size: int) -> Iterator[bytes]:
    """Undo the filter of each row. It predicts a byte from those left of it and above it."""
    before = bytes(stride)
    for start in range(0, len(raw), stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for x in range(stride if kind else 0):
            left, corner = (row[x - size], before[x - size]) if x >= size else (0, 0)
            row[x] = (row[x] + _prediction(kind, left, before[x], corner)) & 255
        before = bytes(row)
        yield before


def _prediction(kind: int, left: int, above: int, corner: int) -> int:
    if kind == 4:
        return min((left, above, corner), key=lambda value: abs(left + above - corner - value))
    return (0, left, above, (left + above) >> 1)[kind]


if __name__ == "__main__":
    source, target, *limit = sys.argv[1:]
    found_width, found_rows, found_size = read(Path(source).read_bytes())
    kept = found_rows[: int(limit[0])] if limit else found_rows
    Path(target).write_bytes(write(found_width, kept, found_size))
