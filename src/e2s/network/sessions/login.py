"""Login and its answer: each side names the other, the page, both nonces and the single-use keys.

::

    login        = E_M{S_Ba<to merchant; page, nM, nB, location, suites, signatures, kex, tls>}
    login-answer = S_M<to Ba's certificate; req, nM, nB, kex, sid, ...>

The strongest suite common to both offers wins, and both offers are under a signature, so that one who
strips an offer is found out.  ``tls`` says, signed, how the wallet reached the server.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant, parse_instant, passed_for_counterpart
from e2s.crypto import oids
from e2s.crypto.acts import Act
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import (
    Form,
    digest,
    instant,
    integer,
    list_of,
    octets,
    octets_max,
    one_of,
    record,
    text,
    token,
)
from e2s.crypto.suites import MAX_SHARE_BYTES
from e2s.network.sessions.offers import OFFER_MEMBERS, Offer, common_suites, read_offer
from e2s.network.sessions.pages import MAX_PAGE_BYTES, NONCE_BYTES, Page, Shop

LOGIN = "e2s/1/login"
LOGIN_ANSWER = "e2s/1/login-answer"
BUYER_SESSION = oids.SIGNING["buyer-session"]
MERCHANT = oids.SIGNING["merchant"]
MERCHANT_AGREEMENT = oids.AGREEMENT["merchant"]
#: Login and answer are read at once or not at all.
_LIFE = timedelta(seconds=120)
_SHARE = record({"suite": token, "share": octets_max(MAX_SHARE_BYTES, min_size=1)})
_SPKI_BYTES = 32


class ActChecker(Protocol):
    """Port: whether a received act is of its type, for its reader, from whom it must be, and good now."""

    def check_act(
        self,
        act: Act,
        *,
        type: str,  # noqa: A002 - the member's name in the document
        to: str,
        purpose: str,
        at: datetime,
        name: str | None = None,
    ) -> Act:
        """``act`` itself; raises :class:`Refusal` with the rule that stands against it."""


class CertificateChecker(Protocol):
    """Port: whether a certificate may be used now."""

    def check_certificate(
        self,
        certificate: Certificate,
        untrusted: Sequence[Certificate],
        *,
        purpose: str | None,
        name: str | None,
        at: datetime,
    ) -> object:
        """Anything, when it may; raises :class:`Refusal` with the rule that stands against it."""


class Checker(ActChecker, CertificateChecker, Protocol):
    """Both checks, as one verifier offers them."""


@dataclass(frozen=True)
class Binding:
    """How the wallet reached the server: ``spki`` with the TLS key's digest, or ``plain`` without."""

    kind: str
    spki: bytes = b""

    @classmethod
    def of(cls, spki: bytes) -> Binding:
        """From what an exchange saw."""
        return cls("spki", spki) if spki else cls("plain")

    def document(self) -> wire.Document:
        """As a member of a login."""
        return {"kind": self.kind, "spki": wire.b64u(self.spki)}


LOGIN_FORM = Form(
    LOGIN,
    {
        "page": octets_max(MAX_PAGE_BYTES, min_size=2),
        "nM": octets(NONCE_BYTES),
        "nB": octets(NONCE_BYTES),
        **OFFER_MEMBERS,
        "kex": list_of(_SHARE, 16, 1),
        "tls": record({"kind": one_of("spki", "plain"), "spki": octets_max(_SPKI_BYTES)}),
    },
    trade=False,
)

ANSWER_FORM = Form(
    LOGIN_ANSWER,
    {
        "req": digest,
        "nM": octets(NONCE_BYTES),
        "nB": octets(NONCE_BYTES),
        "kex": _SHARE,
        "sid": octets(16),
        "catalogue": text(256),
        "idle": integer(1, 86_400),
        "presence": integer(1, 86_400),
        "end": instant,
    },
    trade=False,
)


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login as read from its signed document."""

    page: bytes
    merchant_nonce: bytes
    buyer_nonce: bytes
    offer: Offer
    shares: tuple[tuple[str, bytes], ...]
    tls: Binding


def write_login(
    *,
    sender: str,
    page: Page,
    nonce: bytes,
    offer: Offer,
    shares: Sequence[tuple[str, bytes]],
    tls: Binding,
    at: datetime,
) -> wire.Document:
    """The unsigned login; ``sender`` is the identifier of Ba's certificate, ``offer`` the buyer's, whole."""
    return {
        "type": LOGIN,
        "from": sender,
        "to": [page.merchant],
        "at": format_instant(at),
        "until": format_instant(at + _LIFE),
        "page": wire.b64u(page.octets),
        "nM": wire.b64u(page.nonce),
        "nB": wire.b64u(nonce),
        **offer.document(),
        "kex": [{"suite": suite, "share": wire.b64u(share)} for suite, share in shares],
        "tls": tls.document(),
    }


def read_login(document: wire.Document) -> Login:
    """Read a login's members; raises :class:`Refusal` ``bad-document`` or ``wrong-label``."""
    LOGIN_FORM.check(document)
    return Login(
        page=wire.unb64u(document["page"]),
        merchant_nonce=wire.unb64u(document["nM"]),
        buyer_nonce=wire.unb64u(document["nB"]),
        offer=read_offer(document),
        shares=tuple(_share(item) for item in document["kex"]),
        tls=Binding(document["tls"]["kind"], wire.unb64u(document["tls"]["spki"])),
    )


def check_login(login: Login, page: Page, shop: Shop) -> None:
    """The merchant's checks that need no signature: nonce, suites, and the wallet's way here.

    Raises :class:`Refusal` ``altered-page``, ``suite-not-permitted``, ``suite-stripped``,
    ``plain-downgrade`` or ``foreign-tls-key``.
    """
    if not hmac.compare_digest(login.merchant_nonce, page.nonce):
        raise Refusal("altered-page", "the login's nonce is not its page's")
    names = tuple(name for name, _ in login.shares)
    if names != common_suites(page.offer, login.offer, at=page.at, policy=shop.policy):
        raise Refusal("suite-stripped", "the login's shares are not those of the suites of both offers")
    if login.tls.kind == "plain":
        if not shop.plain:
            raise Refusal("plain-downgrade", "the wallet reached us without TLS, which is not declared here")
    elif not any(hmac.compare_digest(login.tls.spki, front) for front in shop.fronts):
        raise Refusal("foreign-tls-key", "the wallet's TLS connection does not end at one of our servers")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the merchant grants with a session; spans in seconds, ``end`` the last instant."""

    sid: bytes
    catalogue: str
    idle: int
    presence: int
    end: datetime


def write_answer(
    *, sender: str, act: Act, login: Login, suite: str, share: bytes, terms: Terms, at: datetime
) -> wire.Document:
    """The unsigned answer to ``act``; ``sender`` is the identifier of the merchant's certificate."""
    return {
        "type": LOGIN_ANSWER,
        "from": sender,
        "to": [act.certificate.id],
        "at": format_instant(at),
        "until": format_instant(at + _LIFE),
        "req": act.id,
        "nM": wire.b64u(login.merchant_nonce),
        "nB": wire.b64u(login.buyer_nonce),
        "kex": {"suite": suite, "share": wire.b64u(share)},
        "sid": wire.b64u(terms.sid),
        "catalogue": terms.catalogue,
        "idle": terms.idle,
        "presence": terms.presence,
        "end": format_instant(terms.end),
    }


def read_answer(
    document: wire.Document, *, login_id: str, page: Page, nonce: bytes, offered: Sequence[str], at: datetime
) -> tuple[str, bytes, Terms]:
    """Suite, share and terms, if the answer is to this very login.

    Raises :class:`Refusal` ``wrong-answer``, ``suite-stripped`` unless the suite is the strongest of
    those ``offered``, ``stale-answer``, besides the form's.
    """
    ANSWER_FORM.check(document)
    named = (document["req"], document["nM"], document["nB"])
    if named != (login_id, wire.b64u(page.nonce), wire.b64u(nonce)):
        raise Refusal("wrong-answer", "the answer is to another login")
    suite, share = _share(document["kex"])
    if suite != offered[0]:
        raise Refusal(
            "suite-stripped", "the server chose another than the strongest common suite", suite=suite
        )
    if passed_for_counterpart(parse_instant(document["until"]), at):
        raise Refusal("stale-answer", "the answer's time is over")
    terms = Terms(
        sid=wire.unb64u(document["sid"]),
        catalogue=document["catalogue"],
        idle=document["idle"],
        presence=document["presence"],
        end=parse_instant(document["end"]),
    )
    return suite, share, terms


def _share(item: dict[str, Any]) -> tuple[str, bytes]:
    return item["suite"], wire.unb64u(item["share"])


SignDocument = Callable[[wire.Document, Sequence[bytes]], bytes]
OpenEnvelope = Callable[[bytes], bytes]
