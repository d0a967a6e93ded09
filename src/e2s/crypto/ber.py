"""BER (X.690, 8): many encodings for a value, each brought to its one DER, within bounds.

Lengths in any form, strings in pieces, any true BOOLEAN, unused bits and the order of SETs come out as DER
has them (X.690, 10 and 11).  The walk needs no recursion and looks at each octet once; pieces are joined at
the end.  Where tags alone do not say what an element is, a :class:`Shape` says it.  Times stay as they are:
their one form is fixed by CMS and certificates themselves (RFC 5652, 11.3; RFC 5280, 4.1.2.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der

MAX_BYTES: Final = 4 * 1024 * 1024
#: A message to a thousand recipients has fewer that take one.
MAX_ELEMENTS: Final = 12_000

_CONSTRUCTED: Final = 0x20
#: Universal types that may come in pieces (X.690, 8.6, 8.7, 8.23 and 8.25): strings and times.
_STRINGS: Final = frozenset((3, 4, 7, 12, *range(18, 29), 30))
_STRING_TAGS: Final = frozenset(number | _CONSTRUCTED for number in _STRINGS)
#: Universal types that are always constructed: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET, CHARACTER STRING.
_ALWAYS_CONSTRUCTED: Final = frozenset((8, 11, 16, 17, 29))
#: Universal tags in a form that their type cannot have.
_MALFORMED: Final = frozenset(
    (
        *_ALWAYS_CONSTRUCTED,
        *(number | _CONSTRUCTED for number in range(31) if number not in _STRINGS | _ALWAYS_CONSTRUCTED),
    )
)
#: Tags of elements without parts whose content BER and DER write alike; those that no shape ever names.
_PLAIN: Final = frozenset(
    tag
    for tag in range(1, 256)
    if not tag & _CONSTRUCTED and tag & 0x1F != 0x1F and tag not in {*_MALFORMED, der.BOOLEAN, der.BIT_STRING}
)
_UNNAMED: Final = frozenset(tag for tag in _PLAIN if tag < 0x40 and tag != der.OID)

#: Tags of elements with parts that are DER if their parts are: all but strings in pieces and SETs.
_HOLDERS: Final = frozenset(
    (der.SEQUENCE, *(tag for tag in range(0x60, 256) if tag & _CONSTRUCTED and tag & 0x1F != 0x1F))
)
#: What an element takes of the bound, in those that are stepped over.
_WHOLE: Final = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Shape:
    """What an element's parts are, where their tags alone do not say.

    ``fields`` are the parts in order, each by its possible tags; parts that are not listed have any shape.
    With ``repeated``, the one field serves all parts.  ``choices`` gives the shape of what follows an OBJECT
    IDENTIFIER, by its content.  ``ordered`` is a SET OF under another tag, ``string`` an OCTET STRING under
    another tag.  In something ``unsorted``, SETs stay in the order in which they are; of something ``opaque``
    all octets stay, as far as its length is definite.
    """

    fields: tuple[Mapping[int, Shape], ...] = ()
    repeated: bool = False
    choices: Mapping[bytes, Shape] = field(default_factory=dict)
    ordered: bool = False
    string: bool = False
    unsorted: bool = False
    opaque: bool = False


ANY: Final = Shape()
STRING: Final = Shape(string=True)
UNSORTED: Final = Shape(unsorted=True)
OPAQUE: Final = Shape(unsorted=True, opaque=True)
#: Shapes whose parts are nothing that tags do not say.
_UNNAMING: Final = (ANY, UNSORTED)


class _Frame:
    """An element whose end has not been reached; ``limit`` is its own end or, if indefinite, its holder's."""

    __slots__ = (
        "field",
        "indefinite",
        "limit",
        "members",
        "piece",
        "plain",
        "shape",
        "size",
        "slot",
        "string",
        "tag",
        "unused",
    )
    members: list[int] | None

    def __init__(self, tag: int, limit: int, shape: Shape, slot: int, *, indefinite: bool) -> None:
        self.tag = tag
        self.limit = limit
        self.indefinite = indefinite
        self.shape = shape
        self.slot = slot
        self.size = 0
        self.field = 0
        self.plain = _UNNAMED if shape.fields or shape.choices else _PLAIN
        # where the members of a SET begin
        self.members = None
        # of a string: the frame of the whole string, the tag of its pieces, the last piece's unused bits
        self.string: _Frame | None = None
        self.piece = 0
        self.unused = 0


def normalised(
    octets: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = der.MAX_DEPTH,
    max_elements: int = MAX_ELEMENTS,
    shape: Shape = ANY,
) -> bytes:
    """The DER of the one BER element that ``octets`` are.

    Of ``max_elements`` each takes one, but a quarter is enough for a short one that is DER already and either
    has no parts or stands in another such.  Raises :class:`Refusal` ``too-large``, ``der-depth`` and
    ``der-count`` at the bounds, ``ber-...`` or ``der-...`` for what is no BER.
    """
    if len(octets) > max_bytes:
        raise Refusal("too-large", "the message is larger than may be read", size=len(octets))
    return _Walk(octets, max_depth, max_elements).run(shape)


class _Walk:
    """One pass over BER octets; ``out`` holds pieces of DER, with a slot for each header not yet known."""

    __slots__ = ("data", "left", "max_depth", "max_elements", "out", "pos", "stack", "view")

    def __init__(self, data: bytes, max_depth: int, max_elements: int) -> None:
        self.data = data
        self.view = memoryview(data)
        self.max_depth = max_depth
        self.max_elements = max_elements
        self.pos = 0
        self.left = max_elements * _WHOLE
        self.out: list[bytes | memoryview] = []
        self.stack: list[_Frame] = []

    def run(self, shape: Shape) -> bytes:
        """All of it, which is one element of ``shape``."""
        data, stack = self.data, self.stack
        outside = _Frame(0, len(data), Shape(fields=(dict.fromkeys(range(256), shape),)), 0, indefinite=False)
        self._element(outside)
        while stack:
            frame, pos = stack[-1], self.pos
            if pos == frame.limit:
                if frame.indefinite:
                    raise Refusal("der-truncated", "an element is cut short", offset=pos)
                self._close()
            elif not (tag := data[pos]) and frame.indefinite:
                # X.690, 8.1.5: the end of contents
                if data[pos + 1 : pos + 2] != b"\0" or pos + 2 > frame.limit:
                    raise Refusal("ber-end", "the end of contents is two zero octets", offset=pos)
                self.pos = pos + 2
                self._close()
            elif frame.string is not None:
                self._piece(frame, frame.string)
            elif tag not in frame.plain or not self._plain(frame):
                self._element(frame)
        if self.pos != len(data):
            raise Refusal("der-trailing", "octets follow where none may", offset=self.pos)
        return b"".join(self.out)

    def _header(self, limit: int) -> tuple[int, int]:
        """Tag and size (or -1) of the element here, which ends at ``limit`` at the latest; to its content."""
        data, pos = self.data, self.pos
        self.left -= _WHOLE
        if self.left < 0:
            raise Refusal("der-count", "more elements than may be read", most=self.max_elements)
        if limit - pos < 2:
            raise Refusal("der-truncated", "an element is cut short", offset=pos)
        tag, size = data[pos], data[pos + 1]
        pos += 2
        if tag & 0x1F == 0x1F:
            raise Refusal("der-tag", "tag numbers above 30 do not occur here", offset=pos)
        if size == 0x80:
            if not tag & _CONSTRUCTED:
                raise Refusal("ber-length", "only what has parts may be of indefinite length", offset=pos)
            size = -1
        elif size > 0x80:
            width = size & 0x7F
            if width == 0x7F or limit - pos < width:
                raise Refusal("ber-length", "a length is reserved or cut short", offset=pos)
            size = int.from_bytes(data[pos : pos + width], "big")
            pos += width
        if size > limit - pos:
            raise Refusal("der-truncated", "an element is longer than what holds it", offset=pos)
        self.pos = pos
        return tag, size

    def _plain(self, frame: _Frame) -> bool:
        """Step over the elements here that are DER already and have no parts; whether there were any."""
        data, begin, limit, plain, members = self.data, self.pos, frame.limit, frame.plain, frame.members
        pos, left = begin, self.left
        while limit - pos >= 2 and left > 0 and data[pos] in plain:
            stop = pos + 2 + data[pos + 1]
            if data[pos + 1] >= 0x80 or stop > limit:
                break
            if members is not None:
                members.append(len(self.out))
                self.out.append(data[pos:stop])
            left -= 1
            pos = stop
        if members is None and pos != begin:
            self.out.append(self.view[begin:pos])
        self.left = left
        self.pos = pos
        frame.size += pos - begin
        return pos != begin

    def _element(self, frame: _Frame) -> None:
        """Take the element here, a part of ``frame``: whole, or its header if it has parts."""
        begin = self.pos
        tag, size = self._header(frame.limit)
        if frame.members is not None:
            frame.members.append(len(self.out))
        shape = _part(frame, tag) if frame.shape is not ANY else ANY
        if not tag:
            raise Refusal("ber-end", "the end of contents stands where no content ends", offset=self.pos)
        if tag in _MALFORMED:
            raise Refusal("der-tag", "a universal type has the wrong form", found=tag)
        if not tag & _CONSTRUCTED:
            content = self.view[self.pos : self.pos + size]
            self.pos += size
            if tag == der.OID and frame.shape.choices:
                frame.shape = frame.shape.choices.get(bytes(content), ANY)
            frame.size += self._put(tag, _primitive(tag, content))
        elif (
            0 <= size < 0x80 and shape in _UNNAMING and self.pos == begin + 2 and self._settled(begin, shape)
        ):
            self.pos += size
            self.out.append(self.view[begin : self.pos])
            frame.size += size + 2
        elif shape.opaque and size >= 0:
            frame.size += self._put(tag, self.view[self.pos : self.pos + size])
            self.pos += size
        else:
            self._open(tag, size, shape)

    def _settled(self, begin: int, shape: Shape) -> bool:
        """Whether the short element at ``begin`` is DER with all its parts, if that is easily said."""
        data, pos, ends = self.data, begin, [begin + 2 + self.data[begin + 1]]
        # the element itself has been counted
        left = self.left + 1
        depth = self.max_depth - len(self.stack)
        while ends:
            limit = ends[-1]
            if pos == limit:
                ends.pop()
                continue
            stop = pos + 2 + data[pos + 1] if limit - pos >= 2 else limit + 1
            left -= 1
            if stop > limit or len(ends) > depth or left < 0:
                break
            tag = data[pos]
            if tag in _PLAIN:
                pos = stop
            elif tag in _HOLDERS or (tag == der.SET and (shape.unsorted or _single(data, pos + 2, stop))):
                ends.append(stop)
                pos += 2
            else:
                break
        self.left = left
        return not ends

    def _put(self, tag: int, content: bytes | memoryview) -> int:
        """Put out a whole element, and say its size."""
        header = der.header(tag, len(content))
        self.out.append(header)
        self.out.append(content)
        return len(header) + len(content)

    def _open(self, tag: int, size: int, shape: Shape) -> _Frame:
        """Begin an element that has parts."""
        stack = self.stack
        if len(stack) >= self.max_depth:
            raise Refusal("der-depth", "nested too deep", offset=self.pos)
        limit = stack[-1].limit if stack else len(self.data)
        if size >= 0:
            limit = self.pos + size
        frame = _Frame(tag, limit, shape, len(self.out), indefinite=size < 0)
        if shape.string or tag in _STRING_TAGS:
            frame.tag = tag & ~_CONSTRUCTED
            frame.string = frame
            # X.690, 8.6.4 and 8.7.3: bits come in BIT STRINGs, everything else in OCTET STRINGs
            frame.piece = der.BIT_STRING if frame.tag == der.BIT_STRING else der.OCTET_STRING
        elif shape.ordered or (tag == der.SET and not shape.unsorted):
            frame.members = []
        self.out.append(b"")
        stack.append(frame)
        return frame

    def _piece(self, frame: _Frame, string: _Frame) -> None:
        """Take a piece of a string, or begin one that is in pieces itself."""
        tag, size = self._header(frame.limit)
        if tag & ~_CONSTRUCTED != string.piece:
            raise Refusal("ber-string", "a string's piece is of another type", offset=self.pos, found=tag)
        if tag & _CONSTRUCTED:
            self._open(tag, size, ANY).string = string
            return
        octets = self.view[self.pos : self.pos + size]
        content: bytes | memoryview = octets
        self.pos += size
        if tag == der.BIT_STRING:
            if string.unused:
                raise Refusal("ber-string", "bits are unused before the end of a string")
            content = _bits(octets)
            string.unused, content = content[0], content[1:]
        string.size += len(content)
        self.out.append(content)

    def _close(self) -> None:
        """End an element that has parts: what stands before them is known now."""
        frame = self.stack.pop()
        before = b""
        if frame.string is not None:
            if frame.string is not frame:
                return  # a piece in pieces, all of which are the string's
            if frame.tag == der.BIT_STRING:
                before = bytes((frame.unused,))
        elif frame.members is not None and len(frame.members) > 1:
            self._sort(frame.members)
        size = frame.size + len(before)
        header = der.header(frame.tag, size)
        self.out[frame.slot] = header + before
        if self.stack:
            self.stack[-1].size += len(header) + size

    def _sort(self, members: list[int]) -> None:
        """Put the members of a SET, which begin at these places of ``out``, in the order of X.690, 11.6."""
        ends = (*members[1:], len(self.out))
        whole = [b"".join(self.out[i:j]) for i, j in zip(members, ends, strict=True)]
        self.out[members[0] :] = sorted(whole)


def _single(data: bytes, pos: int, stop: int) -> bool:
    """Whether one short element or none fills these octets: a SET that cannot be out of order."""
    return pos == stop or (pos + 2 <= stop and pos + 2 + data[pos + 1] == stop)


def _part(frame: _Frame, tag: int) -> Shape:
    """The shape of the next part of ``frame``, by its tag."""
    fields = frame.shape.fields
    if frame.shape.unsorted:
        return frame.shape
    if frame.shape.repeated:
        return fields[0].get(tag, ANY)
    for index in range(frame.field, len(fields)):
        found = fields[index].get(tag)
        if found is not None:
            frame.field = index + 1
            return found
    return ANY


def _primitive(tag: int, content: memoryview) -> bytes | memoryview:
    """A universal element's content as in DER; what BER does not allow either is left for the reader."""
    if tag == der.BOOLEAN:
        # X.690, 8.2.2 and 11.1
        if len(content) != 1:
            raise Refusal("der-boolean", "a BOOLEAN is one octet")
        return b"\xff" if content[0] else b"\x00"
    if tag == der.BIT_STRING:
        return _bits(content)
    return content


def _bits(content: memoryview) -> bytes | memoryview:
    """A BIT STRING's content with its unused bits zero (X.690, 8.6.2 and 11.2.1)."""
    size = len(content)
    unused = content[0] if size else 8
    if unused > 7 or (unused and size == 1):
        raise Refusal("ber-string", "a BIT STRING does not say how many bits are unused")
    if not unused or not content[-1] & (1 << unused) - 1:
        return content
    return bytes(content[:-1]) + bytes((content[-1] >> unused << unused,))
