"""The ``module:`` lines of INFO: their field is the same in all of them, so they are no part of ``parse_info``."""

import re

_LINE = re.compile(r"^module:([^\r\n]*)", re.MULTILINE)
_PAIR = re.compile(r"(?:^|,)([a-z_]+)=(\[[^\]]*\]|[^,]*)")


def parse_modules(text: str) -> list[dict[str, str]]:
    r"""Return the pairs of every module, with lists as they are spelled.

    >>> parse_modules("module:name=search,ver=21005,usedby=[],using=[ReJSON]\r\n")
    [{'name': 'search', 'ver': '21005', 'usedby': '[]', 'using': '[ReJSON]'}]
    """
    return [dict(_PAIR.findall(line)) for line in _LINE.findall(text)]
