"""No text shows a secret: neither one that is known, nor what looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.masking import WITHHELD, hide, mask


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("hunter22", "the password xhunter22y is bad", "the password x***y is bad"),
        ("hunter2", "the password hunter2 is bad", "the password *** is bad"),
        ("hunter2", "the password 'hunter2' is bad", "the password '***' is bad"),
        ("hunter2", "the password xhunter2y is bad", WITHHELD),
        ("m", "no permissions", "no permissions"),
        ("m", "no permissions for m", WITHHELD),
        ("info", "run the 'info' command", WITHHELD),
        ("info", "no information", "no information"),
        ("6379", "refused by 10.0.0.7:6379", WITHHELD),
        ("a+b", "x a+b y", "x *** y"),
        ("", "anything", "anything"),
        (None, "anything", "anything"),
    ],
)
def test_secret_is_removed_from_a_text(secret: str | None, text: str, shown: str) -> None:
    assert hide(text, secret) == shown


@given(st.text(), st.text(min_size=1), st.text())
def test_secret_that_is_a_word_of_a_text_is_not_shown(before: str, secret: str, after: str) -> None:
    shown = hide(f"{before} {secret} {after}", secret)
    if shown != WITHHELD and len(secret) >= 8 and "*" not in secret:
        assert secret not in shown
    if shown != WITHHELD and not secret.isspace():
        assert f" {secret} " not in shown or "***" in secret


@pytest.mark.parametrize("secret", ["two  spaces S3K", "tab\tS3K-x", "line\nS3K-xyz", " S3K both ends ", "a\r\n\tS3K"])
@pytest.mark.parametrize(
    "form", [str, repr, lambda text: " ".join(text.split()), lambda text: text.replace("\t", "  ")]
)
def test_secret_with_blanks_is_hidden_in_every_form(secret: str, form: object) -> None:
    """Attack M10: messages join blanks, so the text no longer contained the password itself."""
    text = f"ERR bad login, you said: user {form(secret)} here"  # type: ignore[operator]
    assert "S3K" not in hide(text, secret)


@pytest.mark.parametrize("text", ["redis://:p%40ss%2Fword+x%20y@h", "p%40ss%2Fword%2Bx+y", "'p@ss/word+x y'"])
def test_secret_is_hidden_as_a_url_writes_it(text: str) -> None:
    shown = hide(text, "p@ss/word+x y")
    assert "word" not in shown or "@h" in mask(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Invalid header value b'Bearer TOPSECRET-1\\nTOPSECRET-2'", "Invalid header value b'Bearer ***'"),
        ("bearer abcdef123456", "bearer ***"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic ***"),
        ("Authorization: Basic dXNlcjpw", "Authorization: ***"),
        ("{'Authorization': 'Custom abc def'}", "{'Authorization': ***"),
        ("authorization=whatever", "authorization=***"),
        ("http://user:pw@inventory/x", "http://***@inventory/x"),
        ("https://inventory/x?token=abc&y=1", "https://inventory/x?token=***&y=1"),
        ("the token is eyJhbGciOiJI.eyJzdWIi.sig", "the token is ***"),
        ("unknown user ya29.a0Af_B-y.x", "unknown user ***"),
        ("a key of a session, ASIAIOSFODNN7EXAMPLE", "a key of a session, ***"),
        ("got cart/?Action=connect&User=me&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e36", "got cart/?***"),
        ("cut: AWS4-HMAC-SHA256&X-Amz-Signature=9e36160 here", "cut: AWS4-HMAC-SHA256&*** here"),
        ("command AUTH me 'cart/?Action=connect&User=me&X-Am", "command AUTH me 'cart/?***"),
        ("key AKIAIOSFODNN7EXAMPLE", "key ***"),
        ("user $2b$12$abcdefghijklmnopqrstuv.wxyz", "user ***"),
        ("password: x y", "password: *** y"),
        ("auth: timeout", "auth: timeout"),
        ("KeyError: 'x'", "KeyError: 'x'"),
        ("Basic authentication is required", "Basic authentication is required"),
        ("bearer_token_file cannot be read", "bearer_token_file cannot be read"),
        ("the bearer of this", "the bearer of this"),
    ],
)
def test_text_that_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert mask(text) == shown
