"""The search itself finds what is hidden: a scanner that finds nothing proves nothing."""

from __future__ import annotations

import base64
import gzip
import lzma
import os
import sqlite3
import zlib
from hashlib import sha256
from pathlib import Path

import pytest

from tests.leaks.scan import Haystack, guesses, leaks

PAN = b"4539578763621486"


def _der(tag: int, content: bytes) -> bytes:
    n = len(content)
    return bytes([tag]) + (bytes([n]) if n < 128 else b"\x82" + n.to_bytes(2, "big")) + content


WRAPPED = {
    "raw": PAN,
    "inside": b"x" * 50 + PAN + b"y" * 50,
    "base64": b"xx" + base64.b64encode(b"pan=" + PAN) + b'"',
    "base64url-unpadded": b'{"a":"' + base64.urlsafe_b64encode(b"\xff\xfe" + PAN).rstrip(b"=") + b'"}',
    "twice": base64.b64encode(base64.b64encode(b"card " + PAN)),
    "hex": b"<" + PAN.hex().encode() + b">",
    "gzip": gzip.compress(PAN * 3),
    "deflate": zlib.compress(PAN + b"zz", wbits=-15),
    "zlib-in-base64": base64.b64encode(zlib.compress(b"it is " + PAN)),
    "xz": lzma.compress(PAN),
    "der": _der(0x30, _der(0x04, zlib.compress(PAN + b" hidden in an octet string"))),
    "ber-segments": _der(0x24, _der(0x04, PAN[:7]) + _der(0x04, PAN[7:])),
    "utf-16": PAN.decode().encode("utf-16-le"),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_card_number_is_found(tmp_path: Path, how: str) -> None:
    (tmp_path / "log").write_bytes(WRAPPED[how])
    assert leaks(tmp_path, Haystack({PAN: "card number"}))


def test_a_value_split_over_database_pages_is_found(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "data.db")
    connection.execute("CREATE TABLE t (a BLOB)")
    connection.execute(
        "INSERT INTO t VALUES (?)", (base64.b64encode(os.urandom(4090) + PAN + os.urandom(9000)),)
    )
    connection.commit()
    connection.close()
    assert leaks(tmp_path, Haystack({PAN: "card number"}))


def test_an_unsalted_digest_is_guessed(tmp_path: Path) -> None:
    digest = sha256(b"e2s/1 OI" + b"order").digest()
    (tmp_path / "log").write_text('{"d":"' + base64.urlsafe_b64encode(digest).decode().rstrip("=") + '"}')
    haystack = Haystack({}, guesses([b"other", b"order"], [b"", b"e2s/1 OI"]))
    assert [leak.needle for leak in leaks(tmp_path, haystack)] == ["digest of order"]


def test_other_octets_are_no_leak(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(os.urandom(20_000) + base64.b64encode(os.urandom(5000)))
    assert leaks(tmp_path, Haystack({PAN: "card number"}, guesses([b"order"]))) == []
