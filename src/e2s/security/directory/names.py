"""Distinguished names and filters as LDAP writes them: nothing of a value can leave its place.

A name is built from pairs of an attribute and a value (RFC 4514), a filter from the same (RFC 4515); whoever
puts texts together by hand lets a stranger's name end the name, or widen the search.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, TypeAlias

from e2s.base.errors import Refusal

#: Attribute and value.
Pair: TypeAlias = tuple[str, str]
#: A relative name: one pair, rarely more, in the order of their attributes.
Rdn: TypeAlias = tuple[Pair, ...]
#: From the entry itself up to the root of the tree.
Dn: TypeAlias = tuple[Rdn, ...]

MAX_NAME: Final = 2048
MAX_RDNS: Final = 32
MAX_PAIRS: Final = 8

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}|[0-2](?:\.(?:0|[1-9][0-9]{0,18})){1,20}", re.ASCII)
_DESCRIPTION = re.compile(rf"(?:{_ATTRIBUTE.pattern})(?:;[A-Za-z0-9-]{{1,32}}){{0,4}}", re.ASCII)
#: RFC 4514, 2.4: what is escaped wherever it stands; and for terminals and logs what is no printable ASCII.
_SPECIAL: Final = frozenset('"+,;<>\\=')
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_ODD = re.compile(r"[^a-z0-9]+", re.ASCII)
_HEAD: Final = 24
_DIGEST_DIGITS: Final = 32


def label(text: str) -> str:
    """``text`` as one value of a name: itself where it is plain, else its head and its digest.

    LDAP compares without regard to case and spaces, so only small letters, digits, points, hyphens and
    underlines are plain; two texts never have one label.
    """
    if _PLAIN.fullmatch(text):
        return text
    head = _ODD.sub("-", text.lower())[:_HEAD].strip("-") or "name"
    return f"{head}~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_DIGITS]}"


def write_dn(name: Dn) -> str:
    """The name as text (RFC 4514, 2)."""
    return ",".join("+".join(f"{kind}={escaped(value)}" for kind, value in rdn) for rdn in name)


def escaped(value: str) -> str:
    """A value in a name (RFC 4514, 2.4)."""
    last = len(value) - 1
    return "".join(_in_name(one, first=at == 0, last=at == last) for at, one in enumerate(value))


def _in_name(one: str, *, first: bool, last: bool) -> str:
    if one in _SPECIAL or (one == "#" and first):
        return f"\\{one}"
    if one == " ":
        return "\\20" if first or last else one
    if one.isascii() and one.isprintable():
        return one
    return "".join(f"\\{octet:02X}" for octet in one.encode("utf-8", "replace"))


def read_dn(text: str) -> Dn:
    """The name in ``text``; raises :class:`Refusal` ``bad-dn``.

    Values in hexadecimal (``#04...``) and RFC 2253's quotes are refused: nothing of ours has them.
    """
    if len(text) > MAX_NAME:
        raise Refusal("bad-dn", "the name is longer than is read", size=len(text))
    if not text:
        return ()
    reader = _Reader(text)
    found = [reader.rdn()]
    while reader.at < len(text):
        if text[reader.at] != "," or len(found) == MAX_RDNS:
            raise _bad()
        reader.at += 1
        found.append(reader.rdn())
    return tuple(found)


def same(name: Dn) -> Dn:
    """The name as names are compared here: attributes and values in small letters, spaces joined."""
    return tuple(
        tuple(sorted((kind.lower(), " ".join(value.casefold().split(" "))) for kind, value in rdn))
        for rdn in name
    )


class _Reader:
    """A cursor in the text of a name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def rdn(self) -> Rdn:
        pairs = [self._pair()]
        while self.text[self.at : self.at + 1] == "+":
            if len(pairs) == MAX_PAIRS:
                raise _bad()
            self.at += 1
            pairs.append(self._pair())
        return tuple(pairs)

    def _pair(self) -> Pair:
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1
        end = self.text.find("=", self.at)
        kind = self.text[self.at : end].rstrip(" ") if end > 0 else ""
        if not _ATTRIBUTE.fullmatch(kind):
            raise _bad()
        self.at = end + 1
        return kind, self._value()

    def _value(self) -> str:
        text, octets, kept = self.text, bytearray(), 0
        while text[self.at : self.at + 1] == " ":
            self.at += 1
        if text[self.at : self.at + 1] == "#":
            raise _bad()
        while self.at < len(text) and text[self.at] not in ",+":
            one = text[self.at]
            if one == "\\":
                octets += self._escape()
                kept = len(octets)
                continue
            if one in '";<>\x00':
                raise _bad()
            octets += one.encode("utf-8", "surrogatepass")
            kept = len(octets) if one != " " else kept
            self.at += 1
        try:
            value = octets[:kept].decode()
        except UnicodeDecodeError as error:
            raise _bad() from error
        if not value:
            raise _bad()
        return value

    def _escape(self) -> bytes:
        """What a backslash stands before: a special character, or two hexadecimal digits."""
        pair = self.text[self.at + 1 : self.at + 3]
        if len(pair) == 2 and _HEX.issuperset(pair):
            self.at += 3
            return bytes.fromhex(pair)
        if pair[:1] and pair[0] in '"+,;<>\\=# ':
            self.at += 2
            return pair[0].encode()
        raise _bad()


def _bad() -> Refusal:
    return Refusal("bad-dn", "the text is no distinguished name (RFC 4514)")


def read_suffix(text: str) -> Dn:
    """The top of a tree: its first part is one pair of o, ou, dc or c; raises :class:`Refusal` ``bad-dn``."""
    name = read_dn(text)
    if not name or len(name[0]) != 1 or name[0][0][0].lower() not in {"o", "ou", "dc", "c"}:
        raise Refusal("bad-dn", "a suffix begins with o=, ou=, dc= or c=, as o=market", suffix=text[:80])
    return name


def equal(attribute: str, value: str) -> str:
    """The filter for entries whose attribute has the value (RFC 4515, 3)."""
    return f"({_described(attribute)}={in_filter(value)})"


def present(attribute: str) -> str:
    """The filter for entries that have the attribute."""
    return f"({_described(attribute)}=*)"


def any_of(filters: Iterable[str]) -> str:
    """The filter for entries that one of ``filters`` finds; of none, one that finds nothing."""
    return f"(|{''.join(filters)})"


def all_of(filters: Iterable[str]) -> str:
    """The filter for entries that all of ``filters`` find."""
    return f"(&{''.join(filters)})"


def in_filter(value: str) -> str:
    """A value in a filter: what is no letter or digit of ASCII in hexadecimal (RFC 4515, 3)."""
    return "".join(
        one if one.isascii() and (one.isalnum() or one in "-._:@ /~") else _escaped_octets(one)
        for one in value
    )


def _escaped_octets(one: str) -> str:
    return "".join(f"\\{octet:02x}" for octet in one.encode("utf-8", "replace"))


def _described(attribute: str) -> str:
    """An attribute's description; raises :class:`Refusal` ``bad-attribute``."""
    if not _DESCRIPTION.fullmatch(attribute):
        raise Refusal(
            "bad-attribute", "this is no attribute of LDAP (RFC 4512, 2.5)", attribute=attribute[:80]
        )
    return attribute
