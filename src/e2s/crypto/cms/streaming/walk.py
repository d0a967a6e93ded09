"""A message in a file is walked from element to element; only content is large, and only a piece is held.

BER of definite and indefinite lengths (X.690, 8.1.3), as others' streams write it.  All but the content is
kept, within bounds, and read by the same readers as a message in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.cms.streaming.spool import BUFFER, Told, untold

#: All of a message but its content: certificates, lists, a thousand recipients.
MAX_STRUCTURE: Final = 8 * 1024 * 1024
#: Elements that are looked at, and besides them one for each so many octets.
MAX_ELEMENTS: Final = 8_000
_MIN_PIECE: Final = 512
_CONSTRUCTED: Final = 0x20
#: Octets of a tag and its length at most.
MAX_HEADER: Final = 2 + 8


class Walk:
    """A cursor over the BER of a file from here to its end; each step raises ``der-...`` or ``ber-...``."""

    __slots__ = ("_at", "_buffer", "_file", "_have", "_seen", "_told", "kept", "pos")

    def __init__(self, file: BinaryIO, told: Told = untold) -> None:
        """Walk over ``file`` from where it is."""
        self._file = file
        self._told = told
        self._buffer = memoryview(bytearray(BUFFER))
        self._at = self._have = self._seen = 0
        #: Where the cursor is, and how much beside the content was kept.
        self.pos = 0
        self.kept = 0

    def _fill(self, least: int) -> bool:
        """Have ``least`` octets at hand, few enough for the buffer; False at the end."""
        while self._have - self._at < least:
            left = self._have - self._at
            self._buffer[:left] = self._buffer[self._at : self._have]
            self._at, self._have = 0, left
            count = self._file.readinto(self._buffer[left:])  # type: ignore[attr-defined]
            if not count:
                return False
            self._have += count
            self._told(count)
        return True

    def header(self, limit: int) -> tuple[int, int, bytes]:
        """Tag, size (-1 if indefinite) and octets of the header here; its content follows.

        ``limit`` is where the element must end at the latest.
        """
        self._seen += 1
        if self._seen > MAX_ELEMENTS + self.pos // _MIN_PIECE:
            raise Refusal("der-count", "more elements than may be read", offset=self.pos)
        if limit - self.pos < 2 or not self._fill(2):
            raise self._truncated()
        tag, size = self._buffer[self._at], self._buffer[self._at + 1]
        count = 2
        if tag & 0x1F == 0x1F:
            raise Refusal("der-tag", "tag numbers above 30 do not occur here", offset=self.pos)
        if size == 0x80:
            if not tag & _CONSTRUCTED:
                raise Refusal(
                    "ber-length", "only what has parts may be of indefinite length", offset=self.pos
                )
            size = -1
        elif size > 0x80:
            count += size & 0x7F
            if count > MAX_HEADER or limit - self.pos < count or not self._fill(count):
                raise Refusal("ber-length", "a length is too wide or cut short", offset=self.pos)
            size = int.from_bytes(self._buffer[self._at + 2 : self._at + count], "big")
        octets = bytes(self._buffer[self._at : self._at + count])
        self._at += count
        self.pos += count
        if size > limit - self.pos:
            raise self._truncated()
        return tag, size, octets

    def _truncated(self) -> Refusal:
        return Refusal("der-truncated", "an element is cut short", offset=self.pos)

    def peek(self, frame: Frame) -> int:
        """The tag of the next part of ``frame``, or 0 at its end."""
        if frame.indefinite:
            if frame.limit - self.pos < 2 or not self._fill(2):
                raise self._truncated()
            tag = self._buffer[self._at]
            if not tag and self._buffer[self._at + 1]:
                raise Refusal("ber-end", "the end of contents is two zero octets", offset=self.pos)
            return tag
        if self.pos == frame.limit:
            return 0
        if not self._fill(1):
            raise self._truncated()
        if not self._buffer[self._at]:
            raise Refusal("ber-end", "the end of contents stands where no content ends", offset=self.pos)
        return self._buffer[self._at]

    def enter(self, frame: Frame, tag: int = der.SEQUENCE) -> Frame:
        """The next part of ``frame``, which has ``tag`` and parts of its own."""
        at = self.pos
        found, size, _octets = self.header(frame.limit)
        if found != tag:
            raise Refusal("der-tag", "another element was expected", offset=at, expected=tag, found=found)
        return Frame(frame.limit if size < 0 else self.pos + size, indefinite=size < 0)

    def leave(self, frame: Frame) -> None:
        """Refuse more parts of ``frame``, and step behind its end."""
        if self.peek(frame):
            raise Refusal("der-trailing", "octets follow where none may", offset=self.pos)
        if frame.indefinite:
            self._at += 2
            self.pos += 2

    def take(self, size: int) -> bytes:
        """The next ``size`` octets, kept."""
        self.kept += size
        if self.kept > MAX_STRUCTURE:
            raise Refusal("too-large", "what stands beside the content is larger than may be read")
        parts = [bytes(piece) for piece in self._stream(size)]
        return b"".join(parts)

    def element(self, frame: Frame) -> bytes:
        """The next part of ``frame`` whole, in BER as it is."""
        tag, size, octets = self.header(frame.limit)
        parts = [octets]
        if size >= 0:
            parts.append(self.take(size))
            return b"".join(parts)
        depth = 1
        while depth:
            tag, size, octets = self.header(frame.limit)
            self.kept += len(octets)
            parts.append(octets)
            if size < 0:
                depth += 1
                if depth > der.MAX_DEPTH:
                    raise Refusal("der-depth", "nested too deep", offset=self.pos)
            elif not tag:
                depth -= 1
            parts.append(self.take(max(size, 0)))
        return b"".join(parts)

    def rest(self, frame: Frame) -> bytes:
        """All parts of ``frame`` that are left, and behind its end."""
        parts = []
        while self.peek(frame):
            parts.append(self.element(frame))
        self.leave(frame)
        return b"".join(parts)

    def string(self, frame: Frame, tag: int) -> Iterator[memoryview]:
        """The content of the string that follows under ``tag``, in pieces (X.690, 8.7), to its end.

        A piece is good until the next one is asked for.
        """
        at = self.pos
        found, size, _octets = self.header(frame.limit)
        if found & ~_CONSTRUCTED != tag:
            raise Refusal("der-tag", "another element was expected", offset=at, expected=tag, found=found)
        if not found & _CONSTRUCTED:
            yield from self._stream(size)
            return
        stack = [Frame(frame.limit if size < 0 else self.pos + size, indefinite=size < 0)]
        while stack:
            if not self.peek(stack[-1]):
                self.leave(stack.pop())
                continue
            found, size, _octets = self.header(stack[-1].limit)
            if found & ~_CONSTRUCTED != der.OCTET_STRING:
                raise Refusal(
                    "ber-string", "a string's piece is of another type", offset=self.pos, found=found
                )
            if found & _CONSTRUCTED:
                if len(stack) == der.MAX_DEPTH:
                    raise Refusal("der-depth", "nested too deep", offset=self.pos)
                limit = stack[-1].limit if size < 0 else self.pos + size
                stack.append(Frame(limit, indefinite=size < 0))
            else:
                yield from self._stream(size)

    def _stream(self, size: int) -> Iterator[memoryview]:
        """The next ``size`` octets, by the buffer."""
        while size:
            if not self._fill(1):
                raise self._truncated()
            count = min(size, self._have - self._at)
            at = self._at
            self._at += count
            self.pos += count
            size -= count
            yield self._buffer[at : at + count]


class Frame:
    """An element that has parts: where it ends, or, if ``indefinite``, what it is in ends."""

    __slots__ = ("indefinite", "limit")

    def __init__(self, limit: int, *, indefinite: bool = False) -> None:
        self.limit = limit
        self.indefinite = indefinite
