"""What each end offers is what its own location permits then, whole, and under a signature.

The merchant's offer stands in the page, the buyer's in her login beside the page's octets; so the login's
signature covers both, and the answer names the login.  Whoever alters one is found out by the end that
made it or by the signature; what neither location permits is used by nobody, whatever an offer says.
Session suites (confidentiality) and signature suites (authentication) are offered apart (6.3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.crypto import suites
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Check, list_of, token

_MAX_NAMES: Final = 16


def _location(value: Any, _currency: str = "") -> None:
    """A country of ISO 3166, or with a division; ``*`` where an end does not say."""
    if type(value) is not str or not suites.is_location(value):
        raise Refusal("bad-document", "an offer names the location of its end")


#: The members of an offer in a page and in a login.
OFFER_MEMBERS: Final[dict[str, Check]] = {
    "location": _location,
    "suites": list_of(token, _MAX_NAMES, 1),
    "signatures": list_of(token, _MAX_NAMES, 1),
}
#: Every suite of either kind, for whoever leaves it all to the location.
ALL_SESSIONS: Final = suites.CHOSEN["session"]
ALL_SIGNATURES: Final = suites.CHOSEN["signature"]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Suites of a session and of signatures, strongest first, that one end takes where it stands."""

    location: str
    suites: tuple[str, ...]
    signatures: tuple[str, ...]

    def document(self) -> wire.Document:
        """As members of a page or a login."""
        return {
            "location": self.location,
            "suites": list(self.suites),
            "signatures": list(self.signatures),
        }


def read_offer(document: dict[str, Any]) -> Offer:
    """The offer in a page or login whose form is checked."""
    return Offer(
        location=document["location"],
        suites=tuple(document["suites"]),
        signatures=tuple(document["signatures"]),
    )


def offer(
    location: str,
    *,
    sessions: Sequence[str] = ALL_SESSIONS,
    signatures: Sequence[str] = ALL_SIGNATURES,
    at: datetime,
    policy: suites.Policy | None = None,
) -> Offer:
    """What of ``sessions`` and ``signatures`` is permitted at ``location`` then, strongest first.

    Raises :class:`Refusal` ``suite-not-permitted``, with a row, where nothing of a kind is.
    """
    found: dict[suites.Kind, tuple[str, ...]] = {}
    wanted: dict[suites.Kind, Sequence[str]] = {"session": sessions, "signature": signatures}
    for kind, names in wanted.items():
        here = suites.permitted(kind, location, location, at=at, policy=policy)
        found[kind] = tuple(name for name in here if name in names)
        if not here:
            raise suites.none_permitted(kind, location, location, at=at, policy=policy)
        if not found[kind]:
            for name in names:
                suites.check(kind, name, location, location, at=at, policy=policy)
            raise Refusal("suite-not-permitted", "an end must want some suite", kind=kind, location=location)
    return Offer(location=location, suites=found["session"], signatures=found["signature"])


def common_suites(
    ours: Offer, theirs: Offer, *, at: datetime, policy: suites.Policy | None = None
) -> tuple[str, ...]:
    """Session suites in both offers, strongest first by the order that both ends know.

    Raises :class:`Refusal` ``suite-not-permitted``, with the rows and whose location they are for.
    """
    found = tuple(name for name in ALL_SESSIONS if name in ours.suites and name in theirs.suites)
    if found:
        return found
    if not suites.permitted("session", ours.location, theirs.location, at=at, policy=policy):
        raise suites.none_permitted("session", ours.location, theirs.location, at=at, policy=policy)
    raise Refusal(
        "suite-not-permitted",
        "no session suite is offered by both ends",
        here=ours.location,
        there=theirs.location,
    )


def check_signature_suite(
    certificate: Certificate, ours: Offer, theirs: Offer, *, at: datetime, policy: suites.Policy | None = None
) -> None:
    """The suite that ``certificate``'s key signs by must be in both offers.

    Raises :class:`Refusal` ``suite-not-permitted``: with our row where our location bars it.
    """
    name = suites.signature_suite_of(certificate.public_key).name
    for end in (ours, theirs):
        if name in end.signatures:
            continue
        suites.check("signature", name, end.location, end.location, at=at, policy=policy)
        raise Refusal(
            "suite-not-permitted",
            "a signature suite is not among those that an end offers",
            suite=name,
            location=end.location,
        )


def check_sealing_suite(
    certificate: Certificate, ours: Offer, theirs: Offer, *, at: datetime, policy: suites.Policy | None = None
) -> None:
    """The suite that seals to ``certificate`` must be permitted at both locations.

    Raises :class:`Refusal` ``suite-not-permitted`` with the row that bars it.
    """
    name = suites.sealing_suite_of(certificate.public_key).name
    suites.check("sealing", name, ours.location, theirs.location, at=at, policy=policy)
