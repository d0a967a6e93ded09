"""A browser's form is read whole, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.base.http import Request
from e2s.network.sessions.forms import MAX_FORM_BYTES, read_form

MARK = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
PARTS = f"multipart/form-data; boundary={MARK}"
HEAD = b'\r\nContent-Disposition: form-data; name="'


def sent(body: bytes, kind: str = PARTS):
    return read_form(Request("POST", "/enrol", body, {"content-type": kind}))


def written(fields: dict[str, bytes]) -> bytes:
    mark = b"--" + MARK.encode()
    parts = [mark + HEAD + name.encode() + b'"\r\n\r\n' + value + b"\r\n" for name, value in fields.items()]
    return b"".join(parts) + mark + b"--\r\n"


names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
values = st.binary(max_size=200).filter(lambda octets: MARK.encode() not in octets)


@given(st.dictionaries(names, values, min_size=1, max_size=8))
def test_parts_are_read_as_they_were_sent(fields):
    assert sent(written(fields)) == fields


@given(st.binary(max_size=400))
def test_anything_else_is_read_or_refused(octets):
    for kind in (PARTS, "application/x-www-form-urlencoded", "text/plain"):
        try:
            sent(octets, kind)
        except Refusal as refusal:
            assert refusal.rule == "bad-form"


def test_a_file_counts_by_its_octets():
    body = written({"file": b"0\0\r\n"}).replace(b'name="file"', b'name="file"; filename="../x.p10"')
    assert sent(body) == {"file": b"0\0\r\n"}


@pytest.mark.parametrize(
    ("body", "kind", "rule"),
    [
        (b"", PARTS, "bad-form"),
        (written({"a": b"b"})[:-6], PARTS, "bad-form"),
        (b"x" + written({"a": b"b"}), PARTS, "bad-form"),
        (written({"a": b"b"}) + b"x", PARTS, "bad-form"),
        (written({"a": b"b"}), "multipart/form-data", "bad-form"),
        (written({"a": b"b"}), "multipart/form-data; boundary=other", "bad-form"),
        (written({f"f{n}": b"" for n in range(65)}), PARTS, "bad-form"),
        (written({"a": b"b"}).replace(b"name=", b"named="), PARTS, "bad-form"),
        (b"a=%ff%zz&&", "application/x-www-form-urlencoded", "bad-form"),
        (bytes(MAX_FORM_BYTES + 1), PARTS, "too-large"),
    ],
    ids=[
        "empty",
        "cut",
        "before",
        "behind",
        "no boundary",
        "other boundary",
        "many",
        "no name",
        "bad field",
        "large",
    ],
)
def test_what_is_no_form_is_refused(body, kind, rule):
    with pytest.raises(Refusal) as caught:
        sent(body, kind)
    assert caught.value.rule == rule
