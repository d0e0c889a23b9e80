"""Build the status page: one HTML document for people. It has no scripts and loads nothing from other sites."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape

from redis_pulse.web.interface import TargetView

#: Rows of the table. More targets are for a dashboard, and the event loop has other work.
_MAX_ROWS = 200

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2126;--soft:#5f6b76;--line:#dfe4e8;--back:#fff;--card:#f6f8f9;--link:#b3261e;
--good:#1a7f4b;--bad:#c22f27;--warn:#96660a}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8eb;--soft:#98a4ae;--line:#313940;--back:#14181b;--card:#1c2226;
--link:#ff8a80;--good:#57c78b;--bad:#ff7b72;--warn:#e0b04a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 3rem;max-width:76rem;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{margin:0;font-size:1.5rem;letter-spacing:-.01em}
a{color:var(--link);text-decoration:none}a:hover,a:focus-visible{text-decoration:underline}
.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
nav{display:flex;flex-wrap:wrap;gap:.4rem 1.25rem;margin:1rem 0 1.5rem;padding:.6rem 0;
border-block:1px solid var(--line)}
nav a,code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:.9em}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .8rem;text-align:left;vertical-align:top}
th{background:var(--card);color:var(--soft);font-size:.8rem;font-weight:600;white-space:nowrap}
tbody tr{border-top:1px solid var(--line)}
td.number,th.number{text-align:right;white-space:nowrap}
td small{display:block;color:var(--soft);overflow-wrap:anywhere}
"""

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: The policy of the page allows its own style (by its hash) and an empty icon, and nothing else.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"


def status(
    views: Sequence[TargetView], *, version: str, uptime_seconds: float, telemetry_path: str = "/metrics"
) -> str:
    """Return the page as HTML. Targets that are down come first, the rest in the order of the configuration.

    Links are relative, so the page works behind a proxy that serves it under a prefix.
    """
    up = sum(view.up for view in views)
    shown = sorted(views, key=lambda view: view.up)[:_MAX_ROWS]
    summary = f"{up} of {len(views)} target{'' if len(views) == 1 else 's'} up" if views else "no targets"
    links = (telemetry_path, "/sd", "/stalls", "/health", "/redis/ping", "/redis/stats", "/-/ready", "/-/healthy")
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta http-equiv="refresh" content="15">\n<link rel="icon" href="data:,">\n',
            f"<title>redis-pulse: {summary}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n",
            f'<header>\n<h1>redis-pulse</h1>\n<div class="soft"><span class="{_tone(up, len(views))}">{summary}</span>',
            f" · version {escape(version)} · running for {_duration(uptime_seconds)}</div>\n</header>\n",
            f"<nav>{' '.join(_link(path) for path in links)}</nav>\n<main>\n{_table(shown)}",
            _hidden(len(views) - len(shown)),
            "</main>\n</body>\n</html>\n",
        )
    )


#: Column headings, and the attributes of their cells.
_COLUMNS = {
    "Target": "",
    "Status": "",
    "Latency": ' class="number"',
    "Breaker": "",
    "Role": "",
    "Server": "",
    "Sample age": ' class="number"',
}


def _table(views: Sequence[TargetView]) -> str:
    if not views:
        return '<p class="soft">No target is configured yet.</p>\n'
    headings = "".join(f"<th{attributes} scope=col>{name}</th>" for name, attributes in _COLUMNS.items())
    rows = "".join(_row(view) for view in views)
    return f'<div class="scroll"><table>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n'


def _hidden(count: int) -> str:
    if not count:
        return ""
    return f'<p class="soft">{count} more targets are not shown here, but in <a href="health">/health</a>.</p>\n'


def _row(view: TargetView) -> str:
    labels = _labels(view.labels)
    tone = "good" if view.up else "bad"
    breaker = {"closed": "soft", "half_open": "warn"}.get(view.breaker, "bad")
    server = f"{view.software} {view.version}".strip()
    return (
        f"<tr><td>{escape(view.name)}<small>{escape(view.address)}</small>{labels}</td>"
        f'<td class="{tone}">{escape(view.status)}{_failing(view)}{_stall(view)}</td>'
        f'<td class="number">{_latency(view.latency_seconds)}</td>'
        f'<td class="{breaker}">{escape(view.breaker.replace("_", " "))}</td>'
        f"<td>{escape(view.role) or _NONE}</td><td>{escape(server) or _NONE}</td>"
        f'<td class="number">{_NONE if view.sample_age_seconds is None else _duration(view.sample_age_seconds)}</td>'
        "</tr>\n"
    )


_NONE = '<span class="soft">—</span>'


def _failing(view: TargetView) -> str:
    """Return which collectors fail and why, or nothing if the target is down, because then all fail."""
    if not view.up or not view.failing:
        return ""
    names = ", ".join(f"{collector.name} ({collector.reason})" for collector in view.failing)
    return f"<small>failing: {escape(names)}</small>"


def _stall(view: TargetView) -> str:
    """Return the newest stall and its cause, or nothing."""
    if (record := view.last_stall) is None:
        return ""
    when = "stall now" if record.ended is None else "last stall"
    cause = "cause not known yet" if record.cause is None else record.cause.replace("_", " ")
    return f"<small>{when}: {record.seconds:.3g} s, {escape(cause)}</small>"


def _labels(labels: Mapping[str, str]) -> str:
    return f"<small>{escape(', '.join(f'{name}={value}' for name, value in labels.items()))}</small>" if labels else ""


def _link(path: str) -> str:
    return f'<a href="{escape(path.lstrip("/"))}">{escape(path)}</a>'


def _tone(up: int, count: int) -> str:
    return "good" if up == count else "warn" if up else "bad"


def _latency(seconds: float | None) -> str:
    return _NONE if seconds is None else f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def _duration(seconds: float) -> str:
    """Return a time in units that are easy to read: ``4.2 s``, ``12 min``, ``3 h 5 min``, ``12 d 4 h``."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.1f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
