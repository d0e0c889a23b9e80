"""The graphs of the last hour of one target: latency, failures by reason, stalls, breaker and events on one axis."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from redis_pulse.stalls import StallRecord
from redis_pulse.status import StatusEvent, decode, encode
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.geometry import area, height_of, step
from redis_pulse.web.status_interface import StatusView

HOUR = 3600.0
HEIGHT = 132
#: Labels of stalls that are drawn. All are in the list.
_MAX_LABELS = 6
_GRID = ((0.0001, "0.1 ms"), (0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"))


def end_of_hour(minute: int) -> float:
    """Return when the current minute ends: the right end of every time axis."""
    return (minute + 1) * 60.0


def x_of(at: float, minute: int) -> float:
    """Return the place of a time on the axis, in percent."""
    return round((at - (end_of_hour(minute) - HOUR)) / 36, 2)


def ticks(minute: int) -> list[dict[str, Any]]:
    """Return the quarters of the clock, and now."""
    end = int(end_of_hour(minute))
    first = math.ceil((end - HOUR) / 900) * 900
    marks = [(x_of(at, minute), texts.hour_minute(at)) for at in range(first, end - 300, 900)]
    found = [{"x": x, "text": text, "anchor": "middle" if x > 4 else ""} for x, text in marks]
    return [*found, {"x": 100, "text": "now", "anchor": "end"}]


def hour_view(
    view: StatusView, failures: Mapping[str, Sequence[int]], events: Sequence[StatusEvent], height: int = HEIGHT
) -> dict[str, Any]:
    """Return the values of the graphs of one target."""
    rows, minute = view.hour.rows(view.minute), view.minute
    p50, p99, longest = ([row[index] for row in rows] for index in (2, 3, 4))
    objective = encode(view.objective)
    top, bottom = 4, height - 4
    typical50, typical99 = _median(p50), _median(p99)
    maximum = decode(max(longest))
    return {
        "height": height,
        "hot": _dashes(longest, objective, top, bottom, above=True),
        "max": _dashes(longest, objective, top, bottom, above=False),
        "sum": {"p50": typical50, "p99": typical99, "max": maximum, "count": sum(row[0] for row in rows)},
        "grid": _grid(view, top, bottom),
        "gaps": [{"x": round(index / 0.6, 2), "w": 1.67} for index, row in enumerate(rows) if not row[2]],
        "band": area(p50, p99, 1, top, bottom),
        "p50": step(p50, 1, top, bottom, 1),
        "p99": step(p99, 1, top, bottom, 1),
        "cells": [{"x": round(i / 0.6, 2), "text": _cell_text(row, i, minute)} for i, row in enumerate(rows)],
        "failures": [_lane(reason, counts, minute) for reason, counts in sorted(failures.items())],
        **_stalls(view.stalls, minute),
        **_breaker(rows, minute),
        "events": [
            {"x": x_of(event.at, minute), "text": f"{texts.clock(event.at)}  {texts.plain(event.text)}"}
            for event in events
            if event.at >= end_of_hour(minute) - HOUR
        ],
        "ticks": ticks(minute),
        "alt": _alt(rows, typical50, typical99, maximum),
    }


def quiet_minutes_left_out(view: StatusView, failures: Mapping[str, Sequence[int]]) -> list[dict[str, str]]:
    """Return a row for each minute with failures or slow replies, the newest first: the graph in numbers."""
    objective = encode(view.objective)
    found = []
    for index, row in enumerate(view.hour.rows(view.minute)):
        if not row[0] or not (row[1] or row[4] > objective):
            continue
        why = ", ".join(f"{counts[index]} {reason}" for reason, counts in sorted(failures.items()) if counts[index])
        found.append(
            {
                "at": texts.hour_minute(end_of_hour(view.minute) - HOUR + index * 60),
                "count": texts.number(row[0]),
                "fail": texts.number(row[1]),
                "p50": texts.latency(decode(row[2])),
                "p99": texts.latency(decode(row[3])),
                "max": texts.latency(decode(row[4])),
                "why": why or "slow replies",
            }
        )
    return found[::-1]


def _median(codes: Sequence[int]) -> float | None:
    """Return the typical minute. The quantile of the whole hour is not known."""
    known = sorted(code for code in codes if code)
    return decode(known[len(known) // 2]) if known else None


def _grid(view: StatusView, top: int, bottom: int) -> list[dict[str, Any]]:
    lines = [(seconds, text, "") for seconds, text in _GRID]
    lines = [(seconds, text, "SLO" if seconds == view.objective else more) for seconds, text, more in lines]
    if all(more != "SLO" for _, _, more in lines):
        lines.append((view.objective, "", "SLO"))
    return [
        {
            "y": round(height_of(encode(seconds), top, bottom), 1),
            "text": text,
            "cls": "g slo" if more else "g",
            "more": more,
        }
        for seconds, text, more in lines
    ]


def _dashes(codes: Sequence[int], objective: int, top: int, bottom: int, *, above: bool) -> str:
    """Return a dash for the longest ping of each minute that is above the objective, or below it."""
    return "".join(
        f"M{index} {height_of(code, top, bottom):.1f}h1"
        for index, code in enumerate(codes)
        if code and (code > objective) == above
    )


def _cell_text(row: tuple[int, ...], index: int, minute: int) -> str:
    at = texts.hour_minute(end_of_hour(minute) - HOUR + index * 60)
    if not row[0]:
        return f"{at}  not watched"
    failed = f"; {row[1]} of {row[0]} failed" if row[1] else ""
    if not row[2]:
        return f"{at}  no reply{failed}"
    p50, p99, longest = (texts.milliseconds(decode(code)) for code in row[2:5])
    return f"{at}  p50 {p50}, p99 {p99}, max {longest}{failed}"


def _lane(reason: str, counts: Sequence[int], minute: int) -> dict[str, Any]:
    top, total = max(counts), sum(counts)
    bars = []
    for index, count in enumerate(counts):
        if count:
            height = max(3, 24 * math.sqrt(count / top))
            at = texts.hour_minute(end_of_hour(minute) - HOUR + index * 60)
            place = {"x": round(index / 0.6 + 0.2, 2), "y": round(29 - height, 1), "h": round(height, 1)}
            bars.append(
                {**place, "n": count if count == top or len(counts) < 4 else "", "text": f"{at}  {count} {reason}"}
            )
    _label_once(bars)
    minutes = texts.plural(len(bars), "minute")
    alt = f"{texts.plural(total, 'ping')} failed with reason {reason}, in {minutes}"
    return {"reason": reason, "count": texts.number(total), "say": f"in {minutes}", "alt": alt, "bars": bars}


def _label_once(bars: Sequence[dict[str, Any]]) -> None:
    """Keep the number of the first of the highest bars only. Others would overlap."""
    seen = False
    for bar in bars:
        if bar["n"] != "" and seen:
            bar["n"] = ""
        seen = seen or bar["n"] != ""


def _stalls(stalls: Sequence[StallRecord], minute: int) -> dict[str, Any]:
    marks: list[dict[str, Any]] = []
    ends: list[float] = []  # how far each row of labels is taken, in pixels of the narrowest graph
    for stall in sorted(stalls, key=lambda stall: stall.started):
        x, width = max(0.0, x_of(stall.started, minute)), stall.seconds / 36
        text = f"{stall.cause or 'cause not known yet'}, {texts.duration(stall.seconds)}".replace("_", " ")
        is_right = x > 75
        mark: dict[str, Any] = {
            "x": x,
            "w": round(max(0.01, min(width, 100 - x)), 2),
            "tx": x if is_right else round(x + width, 2),
            "dx": -7 if is_right else 7,
            "anchor": "end" if is_right else "",
            "text": text,
            "y": 0,
        }
        if len(marks) < _MAX_LABELS:
            wide = 7 * len(text) + 14
            left = mark["tx"] * 3 - (wide if is_right else 0)
            row = next((index for index, end in enumerate(ends) if end < left), len(ends))
            ends[row : row + 1] = [left + wide]
            mark["y"] = 19 + 16 * row
        marks.append(mark)
    spoken = "; ".join(f"{texts.clock(stall.started)} {texts.duration(stall.seconds)}" for stall in stalls)
    return {
        "stalls": marks,
        "stalled": sum(stall.seconds for stall in stalls),
        "stall_height": 30 + 16 * (len(ends) - 1) if ends else 18,
        "stalls_alt": f"Stalls: {spoken}",
    }


def _breaker(rows: Sequence[tuple[int, ...]], minute: int) -> dict[str, Any]:
    """Return the minutes in which the breaker was not closed for at least a tenth of the pings."""
    blocks: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        if row[6] < 26:
            continue
        at = texts.hour_minute(end_of_hour(minute) - HOUR + index * 60)
        kind = "open" if row[6] >= 230 else "half"
        if blocks and blocks[-1]["end"] == index and blocks[-1]["cls"] == kind:
            blocks[-1]["end"] = index + 1
        else:
            blocks.append({"first": index, "end": index + 1, "cls": kind, "at": at})
    bars = [
        {
            "x": round(block["first"] / 0.6, 2),
            "w": round((block["end"] - block["first"]) / 0.6, 2),
            "cls": block["cls"],
            "text": f"{block['at']}, {texts.plural(block['end'] - block['first'], 'minute')}: "
            + ("open" if block["cls"] == "open" else "open for a part"),
            "label": "",
        }
        for block in blocks
    ]
    total = sum(row[6] * row[0] / 255 for row in rows)
    count = sum(row[0] for row in rows)
    say = f"not closed at {texts.share(total, count)} of the pings" if bars else "closed all hour"
    return {
        "breaker": bars,
        "breaker_say": say,
        "breaker_alt": "Circuit breaker: " + "; ".join(bar["text"] for bar in bars),
    }


def _alt(rows: Sequence[tuple[int, ...]], p50: float | None, p99: float | None, longest: float | None) -> str:
    failed, count = sum(row[1] for row in rows), sum(row[0] for row in rows)
    if p50 is None:
        return f"Latency of the last hour: no reply. {failed} of {count} pings failed."
    return (
        f"Latency of the last hour, logarithmic. In a typical minute p50 is {texts.milliseconds(p50)} and p99 "
        f"{texts.milliseconds(p99)}. The longest ping took {texts.milliseconds(longest)}. "
        f"{failed} of {count} pings failed."
    )
