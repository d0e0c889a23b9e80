"""End and names are read from certificates of another library, and from garbage without an exception."""

import datetime as dt
import random
import ssl
from typing import Any

import pytest
import trustme

from redis_pulse.doctor.checks.tls import begin_of, end_of, names_in


def der(*names: str, **validity: Any) -> bytes:
    issued = trustme.CA().issue_cert(*names, **validity)
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("year", [2024, 2049, 2050, 2999])
def test_end_of_a_certificate_is_read(year: int) -> None:
    """From 2050 on, the time has another form."""
    end = dt.datetime(year, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
    assert end_of(der("a.example", not_after=end)) == f"{year}-03-04"


@pytest.mark.parametrize("year", [2024, 2049, 2050])
def test_begin_of_a_certificate_is_read(year: int) -> None:
    begin = dt.datetime(year, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
    certificate = der("a.example", not_before=begin, not_after=begin.replace(year=2999))
    assert (begin_of(certificate), end_of(certificate)) == (f"{year}-03-04", "2999-03-04")


def test_names_of_a_certificate_are_read() -> None:
    assert names_in(der("a.example", "*.b.example", "10.9.8.7")) == ["a.example", "*.b.example", "10.9.8.7"]


def test_garbage_is_read_without_an_exception() -> None:
    good, shuffle = der("a.example"), random.Random(7)
    for _ in range(2000):
        data = bytearray(good[: shuffle.randrange(len(good))])
        for _ in range(3):
            if data:
                data[shuffle.randrange(len(data))] = shuffle.randrange(256)
        assert len(names_in(bytes(data))) <= 10
        end_of(bytes(data))
