"""Spelling of the text format: numbers, labels, lines and headers. Text format 0.0.4 and OpenMetrics 1.0 spell alike.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math

#: Whole numbers below this limit are written without a decimal point.
_MAX_WHOLE = 10**15


def escape_label_value(text: str) -> str:
    """Return a label value with backslashes, line feeds and quotes escaped."""
    if "\\" in text or "\n" in text or '"' in text:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text


def render_label(name: str, value: str) -> str:
    """Return one label, such as ``target="cart"``."""
    return f'{name}="{escape_label_value(value)}"'


def format_number(value: float) -> str:
    """Return the shortest text that reads back as the same float."""
    if type(value) is int and -_MAX_WHOLE < value < _MAX_WHOLE:
        return str(value)  # most numbers of the exporter itself
    value = float(value)
    if value.is_integer() and abs(value) < _MAX_WHOLE:
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def family_header(name: str, kind: str, text: str, *, openmetrics: bool) -> bytes:
    """Return the HELP and TYPE lines of a family. ``name`` is the name that its samples have.

    OpenMetrics names a counter family without the suffix ``_total``, and every counter must have that suffix.
    An established name without the suffix (``redis_total_error_replies``) gets type ``unknown`` there.
    """
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
        if kind == "counter":
            name, kind = (name[:-6], kind) if name.endswith("_total") else (name, "unknown")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()
