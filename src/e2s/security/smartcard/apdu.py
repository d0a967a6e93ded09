"""What crosses between reader and card: commands and answers of ISO/IEC 7816-4, short and extended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from e2s.base.errors import Misuse, Refusal

#: The longest data of one command, and of what is chained.
MAX_EXTENDED: Final = 65535
MAX_SHORT: Final = 255
#: CLA: another part of the same command follows (5.3.3); with secure messaging (6).
CHAINED: Final = 0x10
SECURED: Final = 0x0C

#: Status words (5.6).
OK: Final = 0x9000
MORE: Final = 0x6100
NOT_VERIFIED: Final = 0x6300
TRIES: Final = 0x63C0
MEMORY_FAILURE: Final = 0x6581
WRONG_LENGTH: Final = 0x6700
NO_SECURE_MESSAGING: Final = 0x6882
LAST_EXPECTED: Final = 0x6883
NO_CHAINING: Final = 0x6884
SECURITY_STATUS: Final = 0x6982
BLOCKED: Final = 0x6983
CONDITIONS: Final = 0x6985
NO_SM_OBJECTS: Final = 0x6987
BAD_SM_OBJECTS: Final = 0x6988
BAD_DATA: Final = 0x6A80
NOT_SUPPORTED: Final = 0x6A81
NOT_FOUND: Final = 0x6A82
NO_MEMORY: Final = 0x6A84
BAD_PARAMETERS: Final = 0x6A86
NO_REFERENCE: Final = 0x6A88
NO_INSTRUCTION: Final = 0x6D00
NO_CLASS: Final = 0x6E00
UNKNOWN: Final = 0x6F00

_SENTENCES: Final = {
    OK: "done",
    NOT_VERIFIED: "the card does not find it good",
    MEMORY_FAILURE: "the card could not keep it",
    WRONG_LENGTH: "the length is wrong",
    NO_SECURE_MESSAGING: "the card has no secure messaging",
    LAST_EXPECTED: "the last part of a chain was expected",
    NO_CHAINING: "this cannot be chained",
    SECURITY_STATUS: "the PIN or the management key has not been given",
    BLOCKED: "the PIN, or the PUK, is blocked",
    CONDITIONS: "the card is in no state for this",
    NO_SM_OBJECTS: "the message is not secured as it has to be",
    BAD_SM_OBJECTS: "the secured message was altered, or is not the next one",
    BAD_DATA: "the data is not what the command takes",
    NOT_SUPPORTED: "the card cannot do this",
    NOT_FOUND: "there is no such object on the card",
    NO_MEMORY: "the card is full",
    BAD_PARAMETERS: "the parameters are wrong",
    NO_REFERENCE: "there is no such key or PIN on the card",
    NO_INSTRUCTION: "the card does not know this command",
    NO_CLASS: "the card does not know this class of command",
    UNKNOWN: "the card failed",
}


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command; ``expected`` is how many octets of answer are wanted at most, or None for no answer."""

    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = field(default=b"", repr=False)
    expected: int | None = None
    cla: int = 0

    def encoded(self) -> bytes:
        """The octets: short where it can be (5.1, cases 1 to 4)."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        size, expected = len(self.data), self.expected
        if size > MAX_EXTENDED or (expected is not None and not 1 <= expected <= MAX_EXTENDED + 1):
            raise Misuse("bad-apdu", "a command carries and expects at most 65,535 octets", size=size)
        if size <= MAX_SHORT and (expected is None or expected <= MAX_SHORT + 1):
            lc = bytes((size,)) if size else b""
            le = b"" if expected is None else bytes((expected & 0xFF,))
            return header + lc + self.data + le
        lc = b"\0" + size.to_bytes(2, "big") if size else b""
        le = b""
        if expected is not None:
            le = (b"" if size else b"\0") + (expected & 0xFFFF).to_bytes(2, "big")
        return header + lc + self.data + le


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the card answers: ``data``, and a status word."""

    status: int = OK
    data: bytes = field(default=b"", repr=False)

    def encoded(self) -> bytes:
        """Data and status word, as they cross."""
        return self.data + self.status.to_bytes(2, "big")

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return self.status == OK

    @property
    def sentence(self) -> str:
        """The status word in words."""
        if self.status & 0xFFF0 == TRIES:
            return f"wrong; {self.status & 0xF} tries left"
        return _SENTENCES.get(self.status, "the card refused it")


def read_command(octets: bytes) -> Command:
    """A command as it crossed; raises :class:`Refusal` ``bad-apdu``."""
    if len(octets) < 4:
        raise Refusal("bad-apdu", "a command has four octets at least", size=len(octets))
    cla, ins, p1, p2 = octets[:4]
    data, expected = _body(octets[4:])
    return Command(cla=cla, ins=ins, p1=p1, p2=p2, data=data, expected=expected)


def read_answer(octets: bytes) -> Answer:
    """An answer as it crossed; raises :class:`Refusal` ``bad-apdu``."""
    if len(octets) < 2:
        raise Refusal("bad-apdu", "an answer has a status word", size=len(octets))
    return Answer(data=octets[:-2], status=int.from_bytes(octets[-2:], "big"))


def _body(rest: bytes) -> tuple[bytes, int | None]:
    """Data and the length expected: cases 1, 2, 3 and 4, short, or extended where the first octet is 0."""
    if not rest:
        return b"", None
    if len(rest) == 1:
        return b"", rest[0] or 256
    if rest[0]:
        size, body = rest[0], rest[1:]
        if len(body) == size:
            return body, None
        if len(body) == size + 1:
            return body[:size], body[size] or 256
    elif len(rest) == 3:
        return b"", int.from_bytes(rest[1:3], "big") or 65536
    elif len(rest) > 3:
        size, body = int.from_bytes(rest[1:3], "big"), rest[3:]
        if size and len(body) == size:
            return body, None
        if size and len(body) == size + 2:
            return body[:size], int.from_bytes(body[size:], "big") or 65536
    raise Refusal("bad-apdu", "the command's lengths are not those of its parts", size=len(rest))
