"""A message's header: who speaks to whom, when, in which transaction (RFC 9810, 5.1.1; RFC 9483, 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.security.cmp.pieces import (
    NO_NAME,
    Information,
    any_value,
    free_text,
    information,
    read_free_text,
    read_information,
    tagged,
    within,
)

#: RFC 9483, 3.1: 128 bits each.
TRANSACTION_SIZE: Final = 16
NONCE_SIZE: Final = 16
_SIZES: Final = range(16, 65)
_MAX_KEY_ID: Final = 128
#: cmp2000 and cmp2021.
VERSIONS: Final = (2, 3)
_TIME, _ALGORITHM, _SENDER_KEY, _RECIPIENT_KEY, _TRANSACTION, _NONCE, _ANSWERED, _TEXT, _INFORMATION = range(
    9
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Header:
    """PKIHeader; ``sender`` and ``recipient`` are GeneralNames, DER, and what is empty is absent.

    ``algorithm`` is that of the protection, ``answered`` the nonce of the message that this one answers.
    """

    version: int = VERSIONS[0]
    sender: bytes = NO_NAME
    recipient: bytes = NO_NAME
    time: datetime | None = None
    algorithm: bytes = b""
    sender_key: bytes = b""
    recipient_key: bytes = b""
    transaction: bytes
    nonce: bytes
    answered: bytes = b""
    texts: tuple[str, ...] = ()
    information: tuple[Information, ...] = ()

    def value(self, oid: str) -> bytes | None:
        """A piece of general information, DER, which may be empty; None where it is not there."""
        return next((one.value for one in self.information if one.oid == oid), None)

    @property
    def der(self) -> bytes:
        """The header, DER."""
        return der.sequence(
            der.integer(self.version),
            self.sender,
            self.recipient,
            tagged(_TIME, der.generalized_time(self.time) if self.time else b""),
            tagged(_ALGORITHM, self.algorithm),
            _octets(_SENDER_KEY, self.sender_key),
            _octets(_RECIPIENT_KEY, self.recipient_key),
            _octets(_TRANSACTION, self.transaction),
            _octets(_NONCE, self.nonce),
            _octets(_ANSWERED, self.answered),
            tagged(_TEXT, free_text(self.texts)),
            tagged(_INFORMATION, information(self.information)),
        )


def read_header(reader: der.Reader) -> Header:
    """The header that comes next.

    Raises :class:`Refusal` ``cmp-version``, ``cmp-transaction``, ``cmp-sender-nonce``, ``cmp-header`` or
    ``der-...``.
    """
    inside = reader.enter()
    version = inside.integer()
    if version not in VERSIONS:
        raise Refusal("cmp-version", "a message is of version 2 or 3", version=version)
    sender, recipient = _general_name(inside), _general_name(inside)
    time = within(inside, _TIME, der.Reader.generalized_time)
    algorithm = within(inside, _ALGORITHM, any_value) or b""
    sender_key, recipient_key, transaction, nonce, answered = (
        within(inside, number, _identifier) or b""
        for number in (_SENDER_KEY, _RECIPIENT_KEY, _TRANSACTION, _NONCE, _ANSWERED)
    )
    texts = within(inside, _TEXT, read_free_text) or ()
    pieces = within(inside, _INFORMATION, read_information)
    inside.done()
    if pieces == ():
        raise Refusal("cmp-header", "the general information is empty")
    if len(transaction) not in _SIZES:
        raise Refusal("cmp-transaction", "a transaction is named by 16 octets or more")
    if len(nonce) not in _SIZES or (answered and len(answered) not in _SIZES):
        raise Refusal("cmp-sender-nonce", "a nonce has 16 octets or more")
    return Header(
        version=version,
        sender=sender,
        recipient=recipient,
        time=time,
        algorithm=algorithm,
        sender_key=sender_key,
        recipient_key=recipient_key,
        transaction=transaction,
        nonce=nonce,
        answered=answered,
        texts=texts,
        information=pieces or (),
    )


def _general_name(reader: der.Reader) -> bytes:
    """A GeneralName: of the context class, its content DER where it holds elements."""
    tag = reader.peek()
    if tag & 0xC0 != 0x80 or tag & 0x1F > 8:
        raise Refusal("cmp-header", "sender and recipient are general names")
    return any_value(reader)


def _octets(number: int, content: bytes) -> bytes:
    return tagged(number, der.octet_string(content)) if content else b""


def _identifier(reader: der.Reader) -> bytes:
    content = reader.content(der.OCTET_STRING)
    if not 0 < len(content) <= _MAX_KEY_ID:
        raise Refusal("cmp-header", "an identifier is empty or larger than may be read")
    return content
