"""A CA believes officers' signatures, not the process that brings them: read whole, then judged, then obeyed.

A registration is signed by one officer; where a profile asks for four eyes, another officer's signature is
over the whole of the first one's.  What names a document is the digest of its content, so that it is obeyed
once, whatever its signature's octets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant
from e2s.base.rights import Authoriser
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import check_signature, read_signed
from e2s.crypto.forms import Check, Form, instant, list_of, octets, octets_max, one_of, record, text
from e2s.security.certificates.profiles import PROFILES, Profile
from e2s.security.pki.rights import RIGHTS, require
from e2s.security.verification.trust import Trust

MAX_ORDERS: Final = 1000
MAX_REGISTRATION_BYTES: Final = 1024 * 1024
MAX_APPROVAL_BYTES: Final = 2 * 1024 * 1024

LEVEL: Check = one_of("", "low", "substantial", "high")
ORDER: Check = record(
    {
        "case": text(64),
        "profile": text(64),
        "names": list_of(text(255), 18, 1),
        "spki": octets(32),
        "confidence": LEVEL,
        "evidence": list_of(octets(32), 16, 1),
    },
    {"notAfter": instant, "subject": text(512)},
)
_ANY: Mapping[str, Check] = {
    "community": text(64),
    "ca": text(64),
    "officer": text(255),
    "at": instant,
    "until": instant,
}
REGISTRATION: Final = Form(
    "e2s/1/registration",
    {**_ANY, "case": text(64), "orders": list_of(ORDER, MAX_ORDERS, 1)},
    envelope=False,
)
APPROVAL: Final = Form(
    "e2s/1/registration-approval",
    {
        "of": octets(32),
        "registration": octets_max(MAX_REGISTRATION_BYTES),
        "officer": text(255),
        "at": instant,
    },
    envelope=False,
)
WITHDRAWAL: Final = Form(
    "e2s/1/withdrawal",
    {
        **_ANY,
        "case": text(64, min_length=0),
        "serial": text(40),
        "act": one_of("revoke", "hold", "release"),
        "reason": text(40, min_length=0),
    },
    {"invalidity": instant},
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Word:
    """A document as somebody signed it; who that is was not judged yet."""

    document: Document
    content: bytes = field(repr=False)
    certificate: Certificate
    certificates: tuple[Certificate, ...] = field(repr=False)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the content."""
        return sha256(self.content).digest()

    @property
    def officer(self) -> str:
        """Who it says has signed it."""
        return str(self.document["officer"])

    @property
    def at(self) -> datetime:
        """When it says that it was signed."""
        return parse_instant(self.document["at"])


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A registration, and the word of the second officer where there is one."""

    first: Word
    second: Word | None

    @property
    def digest(self) -> bytes:
        """What names it: the digest of the registration."""
        return self.first.digest

    @cached_property
    def orders(self) -> dict[bytes, Document]:
        """Its orders, by the SHA-256 of the key's SubjectPublicKeyInfo."""
        return {unb64u(order["spki"]): order for order in self.first.document["orders"]}


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Whom a CA believes: ``ca`` is its component's name, the context of rights.

    ``alone`` says that it is a domain of one, whose manager may do both what else two officers do.
    """

    trust: Trust
    authoriser: Authoriser
    community: str
    ca: str
    alone: bool = False

    def approval(self, approval: Approval, at: datetime, profiles: Mapping[str, Profile] = PROFILES) -> None:
        """Raise unless the registration may be carried out at ``at``; ``profiles`` say what asks four eyes.

        :class:`Refusal` ``other-community``, ``other-ca``, ``approval-lapsed``, ``stale-word``, ``own-case``,
        ``four-eyes``, ``same-officer``, ``not-authorised``, ``duties-not-separate``, or of the verifier's
        rule.
        """
        first, second = approval.first, approval.second
        self._check_word(first, at)
        self._check_officer(first, RIGHTS.register, at)
        officers = {first.officer}
        if second is not None:
            if second.officer == first.officer or second.certificate.spki == first.certificate.spki:
                raise Refusal("same-officer", "the second officer is another person", officer=first.officer)
            _check_time(second, at)
            self._check_officer(second, RIGHTS.approve, at)
            officers.add(second.officer)
        for order in first.document["orders"]:
            # a profile that there is not is refused as an order
            wanted = profiles.get(order["profile"])
            if second is None and wanted is not None and wanted.four_eyes:
                raise Refusal("four-eyes", "two officers approve this profile", profile=order["profile"])
            if officers & set(order["names"]):
                raise Refusal("own-case", "nobody approves her own registration", case=order["case"])

    def withdrawal(self, word: Word, own: Certificate | None, at: datetime) -> None:
        """Raise unless the withdrawal may be carried out at ``at``.

        ``own`` is the certificate that it is of: its holder may revoke and hold it herself.  Raises as
        :meth:`approval` does.
        """
        self._check_word(word, at)
        if own is None or word.certificate != own:
            self._check_officer(word, RIGHTS.revoke, at)
        elif word.officer != own.name or word.document["act"] == "release":
            raise Refusal("not-authorised", "a holder may revoke and hold what is her own", name=own.name)

    def _check_word(self, word: Word, at: datetime) -> None:
        """For this CA, and not over."""
        document = word.document
        if document["community"] != self.community:
            raise Refusal("other-community", "the word is for another community")
        if document["ca"] != self.ca:
            raise Refusal("other-ca", "the word is for another CA", ca=document["ca"])
        if at >= parse_instant(document["until"]):
            raise Refusal("approval-lapsed", "the word was not used in time", until=document["until"])
        _check_time(word, at)

    def _check_officer(self, word: Word, right: str, at: datetime) -> None:
        """The signer is the officer whom the document names, good now, and holds the right."""
        self.trust.check_certificate(
            word.certificate,
            word.certificates,
            purpose=oids.SIGNING["officer"],
            name=word.officer,
            at=at,
        )
        require(self.authoriser, word.officer, right, self.ca, alone=self.alone)


def _check_time(word: Word, at: datetime) -> None:
    if word.at > at + DELTA:
        raise Refusal("stale-word", "the word was signed in time to come")


def read_approval(given: bytes) -> Approval:
    """A registration, alone or within the second officer's word, each signature good.

    Raises :class:`Refusal` ``cms-...``, ``too-large``, ``not-canonical``, ``wrong-label``, ``wrong-time``,
    ``bad-document``, ``bad-approval``, or of the signature.
    """
    outer = _read(given, (REGISTRATION, APPROVAL), MAX_APPROVAL_BYTES)
    if outer.document["type"] == REGISTRATION.type:
        return Approval(first=_registration(outer), second=None)
    inner = unb64u(outer.document["registration"])
    if b64u(sha256(inner).digest()) != outer.document["of"]:
        raise Refusal("bad-approval", "the approval is of another registration than it holds")
    return Approval(first=_registration(_read(inner, (REGISTRATION,), MAX_REGISTRATION_BYTES)), second=outer)


def read_withdrawal(given: bytes) -> Word:
    """A withdrawal, its signature good; raises as :func:`read_approval` does."""
    word = _read(given, (WITHDRAWAL,), MAX_REGISTRATION_BYTES)
    document = word.document
    serial = document["serial"]
    if not serial or serial.strip("0123456789abcdef") or serial[0] == "0":
        raise Refusal("bad-document", "a serial is written in hexadecimal", where="serial")
    if (document["act"] == "revoke") != bool(document["reason"]):
        raise Refusal("bad-document", "a revocation, and nothing else, has a reason", where="reason")
    if document["act"] != "revoke" and "invalidity" in document:
        raise Refusal("bad-document", "only a revocation has an invalidity date", where="invalidity")
    return word


def _registration(word: Word) -> Word:
    keys = [order["spki"] for order in word.document["orders"]]
    if len(set(keys)) != len(keys):
        raise Refusal("bad-approval", "a key is ordered once in a registration")
    return word


def _read(given: bytes, forms: Sequence[Form], max_bytes: int) -> Word:
    """A signed document of one of the forms."""
    signed = read_signed(given)
    if signed.content_type != oids.DATA:
        raise Refusal("wrong-label", "the signed content is no document", found=signed.content_type)
    document = wire.decode(signed.octets, max_bytes)
    label = str(document.get("type"))
    form = next((form for form in forms if form.type == label), None)
    if form is None:
        raise Refusal("wrong-label", "a document of another type was expected", found=label[:64])
    form.check(document)
    if document["at"] != format_instant(signed.at):
        raise Refusal("wrong-time", "the document's time is not its signature's")
    check_signature(signed)
    return Word(
        document=document,
        content=signed.octets,
        certificate=signed.signer_certificate,
        certificates=signed.certificates,
    )
