"""The login page is unsigned: the server believes only what it can recompute, and each page once.

Its nonce is 16 random octets and a MAC over them and the page's times under a key that lives inside,
in memory; so no page is remembered until it is used, and none outlives a restart.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.crypto.acts import read_parcel, write_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, digest, instant, octets, text
from e2s.crypto.suites import Policy
from e2s.network.sessions.offers import (
    ALL_SESSIONS,
    ALL_SIGNATURES,
    OFFER_MEMBERS,
    Offer,
    offer,
    read_offer,
)

PAGE = "e2s/1/page"
PAGE_LIFE = timedelta(seconds=120)
SECRET_BYTES = 32
NONCE_BYTES = 32
MAX_PAGE_BYTES = 8 * 1024
_MAX_ANSWER_BYTES = 256 * 1024
_RANDOM_BYTES = 16

PAGE_FORM = Form(
    PAGE,
    {
        "merchant": text(256),
        "origin": text(256),
        "nM": octets(NONCE_BYTES),
        **OFFER_MEMBERS,
        "signing": digest,
        "agreement": digest,
        "at": instant,
        "until": instant,
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A merchant's shop: what its pages say, and how it may be reached.

    It offers those of the session ``suites`` and of the ``signatures`` that ``location`` permits when a
    page is made.  ``chain`` are the issuers of both certificates; ``fronts`` the key digests of its own TLS
    ends; ``plain`` says whether the community declares the link plaintext.
    """

    merchant: str
    origin: str
    signing: Certificate
    agreement: Certificate
    location: str = "*"
    suites: tuple[str, ...] = ALL_SESSIONS
    signatures: tuple[str, ...] = ALL_SIGNATURES
    policy: Policy | None = None
    chain: tuple[Certificate, ...] = ()
    fronts: tuple[bytes, ...] = ()
    plain: bool = False
    catalogue: str = "/catalogue"

    def offer(self, at: datetime) -> Offer:
        """What the shop takes then; raises :class:`Refusal` ``suite-not-permitted`` when nothing."""
        return offer(
            self.location, sessions=self.suites, signatures=self.signatures, at=at, policy=self.policy
        )


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as read; ``signing`` and ``agreement`` are the certificates' identifiers."""

    octets: bytes
    merchant: str
    origin: str
    nonce: bytes
    offer: Offer
    signing: str
    agreement: str
    at: datetime
    until: datetime


def make_page(shop: Shop, secret: bytes, random: Callable[[int], bytes], at: datetime) -> bytes:
    """A fresh page's octets; ``secret`` is the server's MAC key."""
    return _written(shop, _nonce(secret, random(_RANDOM_BYTES), at), at)


def read_page(octets_: bytes) -> Page:
    """Read a page; raises :class:`Refusal` of its encoding or its form."""
    document = wire.decode(octets_, MAX_PAGE_BYTES)
    PAGE_FORM.check(document)
    return Page(
        octets=octets_,
        merchant=document["merchant"],
        origin=document["origin"],
        nonce=wire.unb64u(document["nM"]),
        offer=read_offer(document),
        signing=document["signing"],
        agreement=document["agreement"],
        at=parse_instant(document["at"]),
        until=parse_instant(document["until"]),
    )


def check_page(shop: Shop, secret: bytes, octets_: bytes, at: datetime) -> Page:
    """The page, if it is octet by octet one that ``shop`` served and is still good.

    Raises :class:`Refusal` ``unknown-page`` (not made with ``secret``: forged, or from before a restart),
    ``suite-stripped``, ``altered-page`` or ``stale-page``, besides those of :func:`read_page`.
    """
    page = read_page(octets_)
    if not hmac.compare_digest(page.nonce, _nonce(secret, page.nonce[:_RANDOM_BYTES], page.at)):
        raise Refusal("unknown-page", "this server has not made the page since it started")
    if not hmac.compare_digest(octets_, _written(shop, page.nonce, page.at)):
        if page.offer != shop.offer(page.at):
            raise Refusal("suite-stripped", "the page's suites are not those that were served")
        raise Refusal("altered-page", "the page is not the one that was served")
    if at >= page.until:
        raise Refusal("stale-page", "the page's time is over; ask for a new one")
    return page


def write_page_answer(shop: Shop, page: bytes) -> bytes:
    """The page with the certificates that it names sent beside it."""
    certificates = [c.der for c in (shop.signing, shop.agreement, *shop.chain)]
    return write_parcel(PAGE, [page, *certificates])


def read_page_answer(octets_: bytes) -> tuple[Page, tuple[Certificate, ...]]:
    """Page and certificates; the first two must be those that the page names (``altered-page``)."""
    page_octets, *rest = read_parcel(octets_, PAGE, _MAX_ANSWER_BYTES)
    page = read_page(page_octets)
    certificates = tuple(Certificate.read(der) for der in rest)
    if _ids(certificates[:2]) != [page.signing, page.agreement]:
        raise Refusal("altered-page", "the certificates beside the page are not those it names")
    return page, certificates


def _ids(certificates: Sequence[Certificate]) -> list[str]:
    return [certificate.id for certificate in certificates]


def _nonce(secret: bytes, fresh: bytes, at: datetime) -> bytes:
    times = format_instant(at) + format_instant(at + PAGE_LIFE)
    return fresh + hmac.new(secret, fresh + times.encode(), hashlib.sha256).digest()[:_RANDOM_BYTES]


def _written(shop: Shop, nonce: bytes, at: datetime) -> bytes:
    return wire.encode(
        {
            "type": PAGE,
            "merchant": shop.merchant,
            "origin": shop.origin,
            "nM": wire.b64u(nonce),
            **shop.offer(at).document(),
            "signing": shop.signing.id,
            "agreement": shop.agreement.id,
            "at": format_instant(at),
            "until": format_instant(at + PAGE_LIFE),
        }
    )
