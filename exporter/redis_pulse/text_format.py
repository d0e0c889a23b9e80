"""How one line of a page is spelled: numbers, label values, headers. Text format 0.0.4 and OpenMetrics 1.0 alike.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math

#: Whole numbers below it are written without a point.
_EXACT = 10**15


def escape_label_value(text: str) -> str:
    """Escape a label value."""
    if "\\" in text or "\n" in text or '"' in text:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text


def format_number(value: float) -> str:
    """Write a float the shortest way that reads back as the same float."""
    if type(value) is int and -_EXACT < value < _EXACT:
        return str(value)  # most numbers of ours
    value = float(value)
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def family_header(name: str, kind: str, text: str, *, openmetrics: bool) -> bytes:
    """Write HELP and TYPE of a family, given the name that its samples bear.

    OpenMetrics names a counter without its ``_total`` and knows no counter that lacks it: such an established name
    (``redis_total_error_replies``) is of type ``unknown`` there.
    """
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
        if kind == "counter":
            name, kind = (name[:-6], kind) if name.endswith("_total") else (name, "unknown")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()
