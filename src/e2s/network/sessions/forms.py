"""What a browser sends of a form: its fields, urlencoded or in parts with files (RFC 7578), within bounds.

Of a file only the octets count, not what the browser calls them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from e2s.base.errors import Refusal
from e2s.base.http import Request

MAX_FORM_BYTES: Final = 256 * 1024
MAX_FIELDS: Final = 64
_MAX_HEADER_BYTES: Final = 1024
_BOUNDARY: Final = re.compile(
    r"multipart/form-data\s*;\s*boundary=\"?([0-9A-Za-z'()+_,./:=?-]{1,70})\"?\s*", re.ASCII | re.IGNORECASE
)
_NAME: Final = re.compile(rb"content-disposition: *form-data; *name=\"([A-Za-z0-9_-]{1,64})\"", re.IGNORECASE)
_ENCODED: Final = "application/x-www-form-urlencoded"


def read_form(request: Request) -> Mapping[str, bytes]:
    """The fields by name, the first of each; raises :class:`Refusal` ``bad-form`` or ``too-large``."""
    if len(request.body) > MAX_FORM_BYTES:
        raise Refusal("too-large", "the form is larger than may be read", size=len(request.body))
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() == _ENCODED:
        return _encoded(request.body)
    boundary = _BOUNDARY.fullmatch(kind.strip())
    if boundary is None:
        raise Refusal("bad-form", "a form is urlencoded or in parts")
    return _parts(request.body, b"--" + boundary[1].encode("ascii"))


def _encoded(body: bytes) -> Mapping[str, bytes]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise Refusal("bad-form", "the form's fields cannot be read") from error
    return {name: value.encode("utf-8", "replace") for name, value in reversed(pairs)}


def _parts(body: bytes, mark: bytes) -> Mapping[str, bytes]:
    """Each part's content: between two marks, behind its headers (RFC 2046, 5.1.1)."""
    if not body.startswith(mark) or body.count(mark) > MAX_FIELDS + 1:
        raise _bad()
    first, *parts, last = (b"\r\n" + body).split(b"\r\n" + mark)
    if first or not parts or last.rstrip(b"\r\n") != b"--":
        raise _bad()
    fields: dict[str, bytes] = {}
    for part in parts:
        headers, gap, content = part.partition(b"\r\n\r\n")
        found = _NAME.search(headers)
        if not gap or not headers.startswith(b"\r\n") or len(headers) > _MAX_HEADER_BYTES or found is None:
            raise _bad()
        fields.setdefault(found[1].decode("ascii"), content)
    return fields


def _bad() -> Refusal:
    return Refusal("bad-form", "the form's parts cannot be read")
