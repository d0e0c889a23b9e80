"""The paths of the graphs: one logarithmic scale for all, 0.05 ms to 5 s. Steps, because a minute is a cell.

Latencies are the codes of ``status.history``, which are logarithmic already. So a height needs no logarithm.
"""

from collections.abc import Sequence

from redis_pulse.status import encode

_LOWEST, _HIGHEST = encode(0.00005), encode(5.0)
#: Bytes of the path of a small graph in a long list.
MAX_TINY = 56
#: Pixels: what moves less is not drawn, more and more, until the path is short.
_STILL = (0.8, 1.5, 2.5, 4, 99)


def height_of(code: int, top: float, bottom: float) -> float:
    """Return the height of a latency. It is ``bottom`` for 0.05 ms and less."""
    part = (code - _LOWEST) / (_HIGHEST - _LOWEST)
    return bottom - min(1.0, max(0.0, part)) * (bottom - top)


def step(codes: Sequence[int], width: float, top: float, bottom: float, digits: int = 0) -> str:
    """Return a step line as a relative path. Equal neighbours are one ``h``. A code of 0 is a gap."""
    parts: list[str] = []
    y_before = run = 0.0
    code_before = 0
    started = False
    slope = (bottom - top) / (_HIGHEST - _LOWEST)
    for index, code in enumerate(codes):
        if not code:
            if run:
                parts.append(f"h{_text(run)}")
            run, started = 0.0, False
            continue
        if started and code == code_before:  # nearly all cells of a target that is well
            run += width
            continue
        code_before = code
        y = bottom - (code - _LOWEST) * slope  # as ``height_of``, which would take a third of the time of a long page
        y = round(min(max(y, top), bottom), digits)
        if not started:
            parts.append(f"M{_text(index * width)} {_text(y)}")
            started, y_before, run = True, y, width
        elif y == y_before:
            run += width
        else:
            parts.append(f"h{_text(run)}v{_text(round(y - y_before, digits))}")
            y_before, run = y, width
    if run:
        parts.append(f"h{_text(run)}")
    return "".join(parts)


def area(low: Sequence[int], high: Sequence[int], width: float, top: float, bottom: float, digits: int = 1) -> str:
    """Return the area between two step lines, with a gap where there is no latency."""
    parts: list[str] = []
    first = 0
    while first < len(low):
        if not low[first]:
            first += 1
            continue
        end = first
        while end < len(low) and low[end]:
            end += 1
        uppers = [_text(round(height_of(code, top, bottom), digits)) for code in high[first:end]]
        lowers = [_text(round(height_of(code, top, bottom), digits)) for code in low[first:end]]
        path = [f"M{_text(first * width)} {uppers[0]}"]
        path += [
            f"H{_text((first + index) * width)}V{uppers[index]}"
            for index in range(1, len(uppers))
            if uppers[index] != uppers[index - 1]
        ]
        path.append(f"H{_text(end * width)}V{lowers[-1]}")
        path += [
            f"H{_text((first + index + 1) * width)}V{lowers[index]}"
            for index in range(len(lowers) - 2, -1, -1)
            if lowers[index] != lowers[index + 1]
        ]
        path.append(f"H{_text(first * width)}z")
        parts.append("".join(path))
        first = end
    return "".join(parts)


def runs(flags: Sequence[bool], width: int, y: int, height: int) -> str:
    """Return blocks where a flag is set. Neighbours are one block."""
    parts: list[str] = []
    first = 0
    while first < len(flags):
        if not flags[first]:
            first += 1
            continue
        end = first
        while end < len(flags) and flags[end]:
            end += 1
        parts.append(f"M{first * width} {y}h{(end - first) * width}v{height}h-{(end - first) * width}z")
        first = end
    return "".join(parts)


def spark(rows: Sequence[tuple[int, ...]], *, with_band: bool = True) -> dict[str, str]:
    """Return the small graph of one hour: 120 by 22 pixels, a step for each minute."""
    p50, p99 = [row[2] for row in rows], [row[3] for row in rows]
    return {
        "gap": runs([bool(row[0]) and not row[3] for row in rows], 2, 0, 18),
        "band": area(p50, p99, 2, 1, 17, 0) if with_band else "",
        "line": step(p99, 2, 1, 17),
        "fail": runs([row[1] > 0 for row in rows], 2, 19, 3),
    }


def tiny(p99: Sequence[int], counts: Sequence[int]) -> dict[str, str]:
    """Return the small graph for a long list: the same scale, a step for two minutes, and a short path.

    ``p99`` are the coded latencies of the minutes, and ``counts`` their failed pings.
    """
    worst = list(map(max, p99[::2], p99[1::2]))
    line = ""
    for still in _STILL:
        line = step(_settle(worst, still), 4, 1, 17)
        if len(line) <= MAX_TINY:
            break
    fail = ""
    if any(counts):
        fail = runs([bool(one or other) for one, other in zip(counts[::2], counts[1::2], strict=True)], 4, 19, 3)
    return {"line": line, "fail": fail, "band": "", "gap": ""}


def _settle(codes: Sequence[int], still: float) -> list[int]:
    """Hold a value until the graph would move by more than ``still`` pixels. A well target is a straight line."""
    most = still * (_HIGHEST - _LOWEST) / 16
    held = 0
    found = []
    for code in codes:
        if not code or not held or abs(code - held) > most:
            held = code
        found.append(held)
    return found


def _text(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
