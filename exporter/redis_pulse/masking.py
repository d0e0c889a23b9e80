"""Mask secrets in texts. No other module decides what a log, a page or an error may show.

``hide`` removes a known secret, such as the password of a target. ``mask`` removes what looks like a secret: logins in
URLs, ``Bearer …`` and ``Basic …``, tokens, values of secret names. In doubt, a text is masked.
"""

import re
from urllib.parse import quote, quote_plus

#: Replaces a secret.
HIDDEN = "***"
#: Words in the names of secrets, as alternatives of a regular expression. The settings of servers use them too.
SENSITIVE_WORDS = "pass|pwd|phrase|auth|secret|token|cred|private|licen[cs]e|seed|salt|aclfile"
#: Names whose values are secret. User names are not hidden in logs: an event about permissions shows the user.
SENSITIVE_NAME = re.compile(rf"{SENSITIVE_WORDS}|key(?!space|s\b)|api[_-]?key", re.IGNORECASE)
#: Tokens with a known beginning: JSON Web Tokens, keys of AWS, tokens of GitHub and Google, hashes of bcrypt.
#: A token of AWS IAM is a presigned request. A server may quote only its first part.
KNOWN_TOKENS = (
    r"eyJ[\w-]{8}[\w.-]*|A[KS]IA\w{12,}|gh[a-z]_\w{16,}|ya29\.[\w.-]+|\$2[abxy]?\$\d\d\$[./\w]{20,}"
    r"|Action=connect&[^\s'\",;]*|X-Amz-[A-Za-z-]{4,20}=[^\s'\",;&]*"
)

#: Everything before the last @ of a URL. Passwords can hold any characters, and in our own schemes even blanks.
_USERINFO = re.compile(r"((?:rediss?|valkeys?|unix)://)(?:(?!://).)+@|(://)(?:(?!://)\S)+@", re.IGNORECASE | re.DOTALL)
#: What stands before a secret in a text: ``password: x``, ``'token': 'x'``, ``auth=x``, ``api_key=x``.
#: But not ``auth: x`` and ``key: x``, as in "auth: timeout" and "KeyError: 'x'".
_BEFORE_SECRET = re.compile(
    rf"""(?:(?!auth)(?:{SENSITIVE_WORDS})[\w-]{{0,20}}["']?\s*[=:]|(?:auth|key(?!space|s\b))[\w-]{{0,20}}=)\s*""",
    re.IGNORECASE,
)
_SECRET = re.compile(r""""[^"]*"|'[^']*'|[^\s,;&)\]}]+""")
#: The value of a header, and what follows the name of a scheme: ``Bearer x``. "Basic authentication" is no secret.
_HEADER = re.compile(r"(authorization\b[\"']?\s*[:=]\s*)[^\r\n,;]+", re.IGNORECASE)
_SCHEME = re.compile(r"(?i:\b(Bearer|Basic|Digest|Negotiate))(\s+)(?=[^\s\"']*[0-9A-Z=_.-])[^\s\"',;]{4,}")
_TOKEN = re.compile(KNOWN_TOKENS)
#: A shorter secret can be a part of many words. Only whole words are compared with it.
_MIN_LENGTH = 8
#: Replaces a text in which even three stars would give the secret away.
WITHHELD = "the text of the server is not shown, because the password is a word in it"


def mask(text: str) -> str:
    """Return a text without what looks like a secret."""
    if "@" in text:
        text = _USERINFO.sub(lambda match: f"{match[1] or match[2]}{HIDDEN}@", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, _mask_assigned(text))


def _mask_assigned(text: str) -> str:
    """Return a text without the secrets that are assigned in it, also in ``key=password: x``."""
    parts: list[str] = []
    done = 0
    for prefix in _BEFORE_SECRET.finditer(text):
        start = prefix.end()
        if start >= done and (secret := _SECRET.match(text, start)):
            parts += (text[done:start], HIDDEN)
            done = secret.end()
    return "".join((*parts, text[done:]))


def hide(text: str, secret: str | None) -> str:
    """Return a text of a server without ``secret``, also if its blanks are joined or its characters are escaped.

    A short secret is replaced only if it is a whole word: ``m`` is a letter of many words.
    Such a secret may be a normal word (``info``) or number. Then stars in the message would show which one,
    so the whole text is withheld. It is also withheld if an unusual secret is a part of another word.
    """
    if not secret:
        return text
    pattern = "|".join(dict.fromkeys(map(_with_any_blanks, _forms(secret))))
    if not re.search(pattern, text):
        return text
    if len(secret) >= _MIN_LENGTH:
        return re.sub(pattern, HIDDEN, text)
    is_common = secret.isalpha() or secret.isdigit()
    redacted, count = re.subn(rf"(?<!\w)(?:{pattern})(?!\w)", HIDDEN, text)
    if count and is_common:
        return WITHHELD
    return WITHHELD if re.search(pattern, redacted.replace(HIDDEN, "")) and not is_common else redacted


def _forms(secret: str) -> list[str]:
    """Return the forms in which a text may quote a secret: unchanged, as ``repr`` writes it, and in a URL."""
    return sorted({secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}, key=len, reverse=True)


def _with_any_blanks(secret: str) -> str:
    """Return a pattern for a secret. Where it has blanks, a text may have others, because messages join them."""
    words = secret.split()
    return r"\s+".join(map(re.escape, words)) if len(words) > 1 else re.escape(secret)
