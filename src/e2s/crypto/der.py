"""DER (X.690, 10 and 11): one encoding for each value; any other is refused, whatever it may mean.

The reader walks slices of one octet string; nothing is copied before it is asked for, no length is
believed before it is compared with what is there, and depth is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from e2s.base.errors import Misuse, Refusal

MAX_DEPTH = 32
MAX_ELEMENTS = 20_000

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED, UTF8, UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x0A, 0x0C, 0x17, 0x18, 0x30, 0x31

_ARCS_MAX = 20
_UTC = re.compile(rb"[0-9]{12}Z")
_GENERALIZED = re.compile(rb"([0-9]{14})(\.[0-9]{0,8}[1-9])?Z")


# Writing


@lru_cache(maxsize=4096)
def header(tag: int, size: int) -> bytes:
    """The tag and the shortest definite length of an element whose content has ``size`` octets."""
    if size < 0x80:
        return bytes((tag, size))
    if size < 0x100:
        return bytes((tag, 0x81, size))
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big")


def tlv(tag: int, content: bytes) -> bytes:
    """One element: tag, length, content."""
    return header(tag, len(content)) + content


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of already encoded parts."""
    return tlv(SEQUENCE, b"".join(parts))


def set_of(parts: Iterable[bytes], tag: int = SET) -> bytes:
    """A SET OF encoded parts, in the order of X.690, 11.6."""
    return tlv(tag, b"".join(sorted(parts)))


def octet_string(content: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTET_STRING, content)


def integer(number: int) -> bytes:
    """An INTEGER in its fewest octets."""
    bits = (number if number >= 0 else ~number).bit_length()
    return tlv(INTEGER, number.to_bytes(bits // 8 + 1, "big", signed=True))


def utf8(text: str) -> bytes:
    """A UTF8String."""
    return tlv(UTF8, text.encode())


@lru_cache(maxsize=512)
def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise Misuse("der-oid", "not an object identifier", oid=dotted)
    body = b""
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        body += bytes(reversed(groups))
    return tlv(OID, body)


def time(at: datetime) -> bytes:
    """A Time: UTCTime to 2049, GeneralizedTime after (RFC 5652, 11.3)."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    if 1950 <= at.year < 2050:
        fields = (at.year % 100, at.month, at.day, at.hour, at.minute, at.second)
        return b"\x17\x0d%02d%02d%02d%02d%02d%02dZ" % fields
    return generalized_time(at)


def generalized_time(at: datetime) -> bytes:
    """A GeneralizedTime in whole seconds."""
    at = at.astimezone(UTC)
    return tlv(GENERALIZED_TIME, f"{at.year:04d}{at:%m%d%H%M%S}Z".encode())


# Reading


def _header(data: bytes, pos: int, end: int) -> tuple[int, int, int]:
    """Tag, start and stop of the content of the element at ``pos``."""
    if end - pos < 2:
        raise Refusal("der-truncated", "an element is cut short", offset=pos)
    tag = data[pos]
    if tag & 0x1F == 0x1F:
        raise Refusal("der-tag", "tag numbers above 30 do not occur here", offset=pos)
    size = data[pos + 1]
    pos += 2
    if size >= 0x80:
        width = size & 0x7F
        if not 0 < width <= 4 or end - pos < width:
            raise Refusal("der-length", "a length is indefinite, too wide or cut short", offset=pos)
        size = int.from_bytes(data[pos : pos + width], "big")
        if size < 0x80 or size >> 8 * (width - 1) == 0:
            raise Refusal("der-length", "a length is not in its shortest form", offset=pos)
        pos += width
    if size > end - pos:
        raise Refusal("der-truncated", "an element is longer than what holds it", offset=pos)
    return tag, pos, pos + size


class Reader:
    """A cursor over the elements inside ``data[pos:end]``; each step raises :class:`Refusal` ``der-...``."""

    __slots__ = ("data", "depth", "end", "pos")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None, depth: int = MAX_DEPTH) -> None:
        """Read ``data`` from ``pos`` to ``end``, at most ``depth`` levels further down."""
        if depth < 0:
            raise Refusal("der-depth", "nested too deep")
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else end
        self.depth = depth

    def peek(self) -> int:
        """The next tag, or 0 at the end."""
        return self.data[self.pos] if self.pos < self.end else 0

    def span(self, tag: int) -> tuple[int, int]:
        """Step over the next element, which has ``tag``; its content's start and stop."""
        data, pos, end = self.data, self.pos, self.end
        start = pos + 2
        if start <= end and data[pos] == tag:
            # the two usual lengths, without a further call; any other, and any fault, is read below
            size = data[pos + 1]
            if size == 0x82 and start + 2 <= end and data[start]:
                size = data[start] << 8 | data[start + 1]
                start += 2
            elif size >= 0x80:
                size = -1
            if 0 <= size <= end - start:
                self.pos = start + size
                return start, start + size
        found, start, stop = _header(data, pos, end)
        if found != tag:
            raise Refusal("der-tag", "another element was expected", offset=pos, expected=tag, found=found)
        self.pos = stop
        return start, stop

    def enter(self, tag: int = SEQUENCE) -> Reader:
        """A reader of the content of the next element, which has ``tag``."""
        start, stop = self.span(tag)
        return Reader(self.data, start, stop, self.depth - 1)

    def content(self, tag: int) -> bytes:
        """The content of the next element, which has ``tag``."""
        start, stop = self.span(tag)
        return self.data[start:stop]

    def element(self, tag: int | None = None) -> bytes:
        """The next element whole; with ``tag``, only of that tag."""
        begin = self.pos
        _start, stop = self.span(self.peek() if tag is None else tag)
        return self.data[begin:stop]

    def elements(self, tag: int | None, most: int) -> list[bytes]:
        """All elements that are left, at most ``most``."""
        found: list[bytes] = []
        while self.pos < self.end:
            if len(found) >= most:
                raise Refusal("der-count", "more elements than may be read", most=most)
            found.append(self.element(tag))
        return found

    def done(self) -> None:
        """Refuse octets after the last element."""
        if self.pos != self.end:
            raise Refusal("der-trailing", "octets follow where none may", offset=self.pos)

    def integer(self, max_octets: int = 8) -> int:
        """An INTEGER in its fewest octets, of at most ``max_octets``."""
        return _integer(self.content(INTEGER), max_octets)

    def boolean(self) -> bool:
        """A BOOLEAN: FF or 00 (X.690, 11.1)."""
        content = self.content(BOOLEAN)
        if content not in {b"\xff", b"\x00"}:
            raise Refusal("der-boolean", "a BOOLEAN is FF or 00")
        return content == b"\xff"

    def oid(self) -> str:
        """An OBJECT IDENTIFIER, dotted."""
        return dotted(self.content(OID))

    def text(self) -> str:
        """A UTF8String."""
        try:
            return self.content(UTF8).decode()
        except UnicodeDecodeError as error:
            raise Refusal("der-text", "a UTF8String is not UTF-8") from error

    def time(self) -> datetime:
        """A Time as in CMS: UTCTime to 2049, GeneralizedTime after, both in whole seconds and Z."""
        if self.peek() == UTC_TIME:
            content = self.content(UTC_TIME)
            if not _UTC.fullmatch(content):
                raise Refusal("der-time", "a UTCTime is written YYMMDDhhmmssZ")
            century = b"20" if content[:2] < b"50" else b"19"
            return _instant(century + content[:12])
        at = self.generalized_time()
        if 1950 <= at.year < 2050:
            raise Refusal("der-time", "an instant before 2050 is a UTCTime")
        return at

    def generalized_time(self) -> datetime:
        """A GeneralizedTime in Z (X.690, 11.7), cut to whole seconds."""
        match = _GENERALIZED.fullmatch(self.content(GENERALIZED_TIME))
        if not match:
            raise Refusal("der-time", "a GeneralizedTime is written YYYYMMDDhhmmssZ")
        return _instant(match.group(1))


def _integer(content: bytes, max_octets: int) -> int:
    """The number of an INTEGER's content."""
    size = len(content)
    if not 0 < size <= max_octets:
        raise Refusal("der-integer", "an INTEGER is empty or too large", size=size)
    if size > 1 and ((content[0] == 0 and content[1] < 0x80) or (content[0] == 0xFF and content[1] >= 0x80)):
        raise Refusal("der-integer", "an INTEGER is not in its fewest octets")
    return int.from_bytes(content, "big", signed=True)


def _instant(digits: bytes) -> datetime:
    """The instant of fourteen digits."""
    try:
        month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
        return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise Refusal("der-time", "no such instant") from error


@lru_cache(maxsize=512)
def dotted(content: bytes) -> str:
    """The dotted form of an OBJECT IDENTIFIER's content; raises :class:`Refusal` ``der-oid``."""
    if not 0 < len(content) <= 64 or content[-1] & 0x80:
        raise Refusal("der-oid", "an object identifier is empty, too long or cut short")
    arcs: list[int] = []
    arc = -1
    for octet in content:
        if arc < 0:
            if octet == 0x80:
                raise Refusal("der-oid", "an arc is not in its fewest octets")
            arc = 0
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = -1
    if len(arcs) > _ARCS_MAX:
        raise Refusal("der-oid", "an object identifier has too many arcs")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def check_order(parts: Sequence[bytes]) -> None:
    """Refuse a SET OF that is not strictly ascending (X.690, 11.6); equal members are refused too."""
    for index in range(len(parts) - 1):
        if parts[index] >= parts[index + 1]:
            raise Refusal("der-set-order", "the members of a SET are out of order or repeated")


def check(data: bytes, max_depth: int = MAX_DEPTH, max_elements: int = MAX_ELEMENTS) -> None:
    """Refuse ``data`` that is no single element of strict DER, without knowing its type.

    Checked: lengths, universal tags' form, the content of BOOLEAN, INTEGER, NULL and OBJECT
    IDENTIFIER, depth and number of elements; not the order of SETs, which needs the type.
    """
    _tag, _start, stop = _header(data, 0, len(data))
    if stop != len(data):
        raise Refusal("der-trailing", "octets follow where none may", offset=stop)
    todo = [(0, len(data), max_depth)]
    seen = 0
    while todo:
        pos, end, depth = todo.pop()
        if depth < 0:
            raise Refusal("der-depth", "nested too deep")
        while pos < end:
            seen += 1
            if seen > max_elements:
                raise Refusal("der-count", "more elements than may be read", most=max_elements)
            kind = _KINDS[data[pos]]
            start = pos + 2
            # a short element is looked at without a further call; any other, and any fault, is read below
            if kind != _ASKED and start <= end and (size := data[pos + 1]) < 0x80 and size <= end - start:
                stop = start + size
            else:
                tag, start, stop = _header(data, pos, end)
                _check_universal(tag, data, start, stop)
                kind = _KINDS[tag] if kind != _ASKED else tag & 0x20
            if kind and start != stop:
                todo.append((start, stop, depth - 1))
            pos = stop


#: Of a first octet: whether elements are inside (20), or whether :func:`_check_universal` must see it (1).
_ASKED = 1
_KINDS = bytes(
    tag & 0x20
    if tag & 0x1F != 0x1F and (tag & 0xC0 or tag in {OCTET_STRING, UTF8, SEQUENCE, SET, UTC_TIME})
    else _ASKED
    for tag in range(256)
)


def _check_universal(tag: int, data: bytes, start: int, stop: int) -> None:
    """Refuse a universal element whose form or content DER does not allow."""
    if tag & 0xC0:
        return
    number = tag & 0x1F
    if number == 0 or bool(tag & 0x20) != (number in {8, 11, 16, 17}):
        raise Refusal("der-tag", "a universal type has the wrong form", found=tag)
    if number == BOOLEAN and data[start:stop] not in {b"\xff", b"\x00"}:
        raise Refusal("der-boolean", "a BOOLEAN is FF or 00")
    if number in {INTEGER, ENUMERATED}:
        _integer(data[start:stop], 1 << 16)
    if number == NULL and start != stop:
        raise Refusal("der-null", "a NULL is empty")
    if number == OID:
        dotted(data[start:stop])
