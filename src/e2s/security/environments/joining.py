"""A person on another machine gets her PSE by a short-lived code; later she renews it, and ends it.

The code has the invitation's reference, its secret, and the beginning of the root's digest: who has only the
first two is told the digest another way, or refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Exchange, Request, expect
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import sign
from e2s.crypto.ports import Signer
from e2s.security.enrolment.invitations import code_of, read_code
from e2s.security.environments import waiting as waits
from e2s.security.environments.documents import read_offer, sealed
from e2s.security.environments.holding import KIND, ORIGIN, Edges, Invitation, Keeper
from e2s.security.environments.judging import LEAST_DIGEST, check_root
from e2s.security.environments.kinds import Kinds, kind_called
from e2s.security.environments.messages import NONCE_BYTES, End, Look, Offer
from e2s.security.environments.receiving import begin, done, finish, under_way
from e2s.security.environments.renewing import begin_renewal
from e2s.security.environments.waiting import Waiting
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse

_DIGEST: Final = re.compile(rf"[0-9a-f]{{{LEAST_DIGEST},64}}", re.ASCII)
_SHA: Final = "sha-256:"


@dataclass(frozen=True, kw_only=True)
class Waits:
    """An officer has to say so first: ask again after so many seconds."""

    retry_seconds: int


def code_with_root(reference: str, secret: bytes, root: Certificate) -> str:
    """The code of an invitation that says the root as well."""
    return f"{code_of(reference, secret)}.{root.digest.hex()[:LEAST_DIGEST]}"


def read_invitation(code: str, root: str = "") -> Invitation:
    """What a code says; ``root`` is the root's digest told apart: ``sha-256:...``, or hexadecimal.

    Raises :class:`Refusal` ``bad-code``, and ``root-not-told`` where neither says it, ``other-root`` where
    they differ.
    """
    plain, _, told = code.strip().rpartition(".")
    if "." not in plain:
        plain, told = code.strip(), ""
    reference, secret = read_code(plain)
    told = told.lower()
    if told and not _DIGEST.fullmatch(told):
        raise Refusal("bad-code", "the last part of a code is the beginning of the root's digest")
    apart = _hexadecimal(root) if root else ""
    if apart and told and not apart.startswith(told):
        raise Refusal("other-root", "the code says another root than was told apart")
    if not (apart or told):
        raise Refusal("root-not-told", "nobody told the digest of the root: nothing is believed unseen")
    return Invitation(reference=reference, secret=secret, root=apart or told)


def _hexadecimal(digest: str) -> str:
    plain = digest.strip()
    if plain.startswith(_SHA):
        plain = wire.unb64u(plain.removeprefix(_SHA)).hex()
    plain = plain.replace(":", "").lower()
    if not _DIGEST.fullmatch(plain):
        raise Refusal("bad-digest", "a digest is sha-256: and base64url, or hexadecimal")
    return plain


def look(exchange: Exchange, origin: str, invitation: Invitation, edges: Edges) -> Offer:
    """What the invitation is to; raises :class:`Refusal` ``other-root``, or the door's rule."""
    question = Look(
        reference=invitation.reference,
        origin=origin,
        at=edges.clock.now(),
        nonce=edges.random(NONCE_BYTES),
    )
    body = _post(exchange, origin, "/pse/look", sealed(question.said(), invitation.secret))
    offer = read_offer(body, invitation.secret, question)
    check_root(offer.root, invitation.root)
    return offer


def join(
    pse: Path,
    phrase: Phrase,
    invitation: Invitation,
    origin: str,
    exchange: Exchange,
    edges: Edges,
    *,
    keeper: Keeper | None = None,
) -> Waits | None:
    """Get the PSE of an invitation; who was interrupted calls it again.

    ``keeper`` has the keys of a kind that is not kept in software.  Raises :class:`Refusal` ``other-root``,
    ``already-delivered``, and what the door or the parcel is refused with, :class:`Misuse` ``key-waits``, and
    :class:`~e2s.base.errors.Unreachable` where the door did not answer.
    """
    if waits.waits(pse):
        waiting = under_way(pse, phrase, invitation)
    else:
        offer = look(exchange, origin, invitation, edges)
        waiting = begin(pse, phrase, invitation, offer.kind, offer.names, origin, edges, keeper=keeper)
    return _fetched(pse, phrase, waiting, exchange, edges, keeper)


def renew(
    path: Path, phrase: Phrase, kinds: Kinds, exchange: Exchange, edges: Edges, *, new_keys: bool = True
) -> Waits | None:
    """Renew the PSE at ``path`` where it came from, by its own key; as :func:`join`."""
    pse = SoftwarePse.open(path, phrase)
    try:
        kind = kind_called(pse.attributes.get(KIND, ""), kinds)
        waiting = begin_renewal(path, pse, phrase, kind, edges, new_keys=new_keys)
    finally:
        pse.close()
    return _fetched(path, phrase, waiting, exchange, edges)


def _fetched(
    path: Path,
    phrase: Phrase,
    waiting: Waiting,
    exchange: Exchange,
    edges: Edges,
    keeper: Keeper | None = None,
) -> Waits | None:
    """Ask, take the parcel, and send the receipt."""
    answer = waiting.answer
    if not answer:
        place = "/pse/renew" if waiting.secret is None else "/pse/ask"
        response = exchange.send(waiting.origin, _request(place, waiting.ask))
        if response.status == 202:
            return Waits(retry_seconds=_seconds(response.headers.get("retry-after", "")))
        answer = expect(response, what="the door")
    receipt = finish(path, phrase, answer, edges, keeper=keeper)
    _post(exchange, waiting.origin, "/pse/receipt", receipt)
    done(path, phrase, edges)
    return None


def end(
    pse: SoftwarePse, signer: Signer, reason: str, exchange: Exchange, edges: Edges
) -> tuple[Certificate, ...]:
    """Have every certificate of the PSE revoked by its holder's word; those that were."""
    own = signer.certificate
    certificates = tuple(
        certificate
        for certificate in map(pse.certificate, pse.labels())
        if certificate.slices.issuer == own.slices.issuer and certificate.names == own.names
    )
    origin, now = pse.attributes.get(ORIGIN, ""), edges.clock.now()
    word = End(origin=origin, at=now, reason=reason, certificates=certificates)
    _post(exchange, origin, "/pse/end", sign(word.encoded(), oids.DATA, signer, now))
    return certificates


def _post(exchange: Exchange, origin: str, path: str, body: bytes) -> bytes:
    return expect(exchange.send(origin, _request(path, body)), what="the door")


def _request(path: str, body: bytes) -> Request:
    return Request("POST", path, body, {"content-type": "application/octet-stream"})


def _seconds(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 30
