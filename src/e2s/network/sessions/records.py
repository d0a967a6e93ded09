"""A record opens for its receiver alone, once, in the order of sending; what fails has no effect.

::

    "E2R1" dir(1) kind(1) sid(16) seq(8) len(4) | ciphertext | tag(16)

The 34 octets of the header are authenticated, ``len`` counts the ciphertext, the nonce is the
direction's initial vector XOR the sequence number, the plaintext is len4(body) and zeros to a
multiple of 256.  Sequence numbers start at 1, rise, and end at 2**32 (protocol, sections 2 and 9.9).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import b64u, len4
from e2s.network.sessions.keys import IV_BYTES, SessionKeys, protection

MAGIC = b"E2R1"
MAX_RECORD_BYTES = 2**20
SID_BYTES = 16
TAG_BYTES = 16
LAST_SEQ = 2**32
_HEADER = struct.Struct(">4sBB16sQL")
HEADER_BYTES = _HEADER.size
_PAD = 256
#: The longest body: the largest padded plaintext that fits, less its length.
MAX_RECORD_BODY = (MAX_RECORD_BYTES - HEADER_BYTES - TAG_BYTES) // _PAD * _PAD - 4


class Side(IntEnum):
    """Who writes: the value is the direction octet of what this side sends."""

    BUYER = 1
    MERCHANT = 2


class Kind(IntEnum):
    """What a record is for."""

    REQUEST = 1
    ANSWER = 2
    CLOSE = 3
    PRESENCE = 4


#: The kinds that each side sends.
SENDS = {
    Side.BUYER: frozenset({Kind.REQUEST, Kind.CLOSE, Kind.PRESENCE}),
    Side.MERCHANT: frozenset({Kind.ANSWER, Kind.CLOSE}),
}


@dataclass(frozen=True)
class Header:
    """What can be read of a record without its keys."""

    direction: Side
    kind: Kind
    sid: bytes
    seq: int


def read_header(octets: bytes) -> Header:
    """The header of one whole record; raises :class:`Refusal` ``bad-record``."""
    if not HEADER_BYTES + _PAD + TAG_BYTES <= len(octets) <= MAX_RECORD_BYTES:
        raise Refusal("bad-record", "the octets are no record by their size", size=len(octets))
    magic, direction, kind, sid, seq, size = _HEADER.unpack_from(octets)
    if magic != MAGIC or size % _PAD or len(octets) != HEADER_BYTES + size + TAG_BYTES:
        raise Refusal("bad-record", "the octets are no record of this version")
    try:
        header = Header(Side(direction), Kind(kind), sid, seq)
    except ValueError as error:
        raise Refusal("bad-record", "the record's direction or kind is unknown") from error
    if not 1 <= seq <= LAST_SEQ or header.kind not in SENDS[header.direction]:
        raise Refusal("bad-record", "the record's number or kind is not allowed")
    return header


class Channel:
    """One end of a session's records; not for use by two threads at once."""

    def __init__(self, side: Side, sid: bytes, keys: SessionKeys) -> None:
        """``side`` is ours; ``sid`` names the session and is no secret."""
        if len(sid) != SID_BYTES:
            raise Misuse("bad-sid", "a session identifier has 16 octets")
        ours, theirs = (keys.c2s_key, keys.c2s_iv), (keys.s2c_key, keys.s2c_iv)
        if side is Side.MERCHANT:
            ours, theirs = theirs, ours
        self.side = side
        self.sid = sid
        self.sent = 0
        self.received = 0
        self._sending: AESGCM | None = protection(ours[0])
        self._receiving: AESGCM | None = protection(theirs[0])
        self._sending_iv = ours[1]
        self._receiving_iv = theirs[1]

    def __repr__(self) -> str:
        """Which session and how far; no key."""
        return f"<Channel {self.side.name} {b64u(self.sid)} sent={self.sent} received={self.received}>"

    def seal(self, kind: Kind, body: bytes) -> bytes:
        """The next record; its sequence number is :attr:`sent` afterwards.

        Raises :class:`Refusal` ``session-exhausted`` or ``no-session``, :class:`Misuse` ``too-large``.
        """
        if self._sending is None:
            raise Refusal("no-session", "the session is closed")
        if kind not in SENDS[self.side]:
            raise Misuse("wrong-kind", "this side does not send records of this kind")
        if len(body) > MAX_RECORD_BODY:
            raise Misuse("too-large", "the body does not fit in a record", size=len(body))
        if self.sent >= LAST_SEQ:
            raise Refusal("session-exhausted", "the session's sequence numbers are used up")
        self.sent += 1  # first, so that no error can use a nonce twice
        plain = len4(body)
        plain += bytes(-len(plain) % _PAD)
        header = _HEADER.pack(MAGIC, self.side, kind, self.sid, self.sent, len(plain))
        return header + self._sending.encrypt(_nonce(self._sending_iv, self.sent), plain, header)

    def open(self, octets: bytes) -> tuple[Kind, int, bytes]:
        """Kind, sequence number and body of the peer's record.

        Raises :class:`Refusal`, with no effect: ``bad-record``, ``wrong-direction`` for a reflected one,
        ``no-session`` for another session's, ``replayed-record`` unless its number is above all before,
        ``altered-record`` when it was not sealed by the peer.
        """
        header = read_header(octets)
        if header.direction is self.side:
            raise Refusal("wrong-direction", "the record is one of our own, reflected")
        if self._receiving is None or header.sid != self.sid:
            raise Refusal("no-session", "the record belongs to no open session")
        if header.seq <= self.received:
            raise Refusal(
                "replayed-record", "a record of this number or a later one was taken", seq=header.seq
            )
        nonce = _nonce(self._receiving_iv, header.seq)
        try:
            plain = self._receiving.decrypt(nonce, octets[HEADER_BYTES:], octets[:HEADER_BYTES])
        except InvalidTag as error:
            raise Refusal("altered-record", "the record was not sealed by the session's peer") from error
        size = int.from_bytes(plain[:4], "big")
        if size > len(plain) - 4 or len(plain) - 4 - size >= _PAD or any(plain[4 + size :]):
            raise Refusal("bad-record", "the record is not padded as it must be")
        self.received = header.seq
        return header.kind, header.seq, plain[4 : 4 + size]

    def close(self) -> None:
        """Forget the keys; nothing opens or is sealed afterwards."""
        self._sending = self._receiving = None
        self._sending_iv = self._receiving_iv = bytes(IV_BYTES)


def _nonce(iv: bytes, seq: int) -> bytes:
    return (int.from_bytes(iv, "big") ^ seq).to_bytes(IV_BYTES, "big")
