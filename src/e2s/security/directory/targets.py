"""What a URL of LDAP asks for behind the server's name (RFC 4516): one attribute of one entry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from e2s.base.errors import Refusal
from e2s.security.directory.entries import BINARY
from e2s.security.directory.names import Dn, read_dn, write_dn

MAX_TARGET: Final = 1024
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
#: With or without the option: RFC 4523, 2 asks for it, many a CA leaves it out.
_ATTRIBUTES: Final = {name.lower(): known for known in BINARY for name in (known, known.partition(";")[0])}
_ANYTHING: Final = frozenset({"", "(objectclass=*)"})


@dataclass(frozen=True)
class Target:
    """An entry, and which of its binary attributes."""

    dn: Dn
    attribute: str


def read_target(path: str) -> Target:
    """The target in ``/dn?attribute?base``; raises :class:`Refusal` ``bad-directory-url``.

    A search below the entry, another filter and extensions are refused: a certificate names one place.
    """
    if not path.startswith("/") or len(path) > MAX_TARGET or not path.isascii() or _ESCAPE.search(path):
        raise _bad()
    parts = path[1:].split("?")
    if len(parts) > 4:
        raise _bad()
    name, attribute, scope, wanted = (*map(_text, parts), "", "", "")[:4]
    known = _ATTRIBUTES.get(attribute.lower())
    if known is None or scope.lower() not in {"", "base"} or wanted.lower() not in _ANYTHING:
        raise _bad()
    try:
        dn = read_dn(name)
    except Refusal as refusal:
        raise _bad() from refusal
    if not dn:
        raise _bad()
    return Target(dn, known)


def write_target(dn: str, attribute: str) -> str:
    """The path of a URL for one attribute of an entry."""
    return f"/{_escaped(write_dn(read_dn(dn)))}?{attribute}?base"


def _escaped(text: str) -> str:
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~=,+:@")
    return "".join(chr(one) if one in plain else f"%{one:02X}" for one in text.encode())


def _text(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise _bad() from error


def _bad() -> Refusal:
    return Refusal("bad-directory-url", "the URL does not name one attribute of one entry (RFC 4516)")
