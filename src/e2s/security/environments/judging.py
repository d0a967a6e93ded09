"""How a holder judges a parcel before she uses anything of it.

The root is believed by its digest, which came with the code or another way; never because it was there first
(document 6.1.1: over an authenticated session).  A parcel counts once it is sealed to the key that asked, its
signer stands under that root as a component, and it knew the invitation's secret.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import EXACT, Signed, read_signed
from e2s.crypto.keys import spki_of
from e2s.crypto.ports import Opener
from e2s.security.environments.holding import names_of
from e2s.security.environments.parcel import Contents, Delivered, open_parcel, read_answer
from e2s.security.environments.waiting import Waiting
from e2s.security.verification.verifier import Verifier

#: Hexadecimal digits of the root's digest that are enough: nobody finds another root with the same.
LEAST_DIGEST: Final = 32


class Judged(NamedTuple):
    """What came, as it was signed, and the root."""

    contents: Contents
    signed: Signed
    root: Certificate


def check_root(root: Certificate, digest: str) -> None:
    """Raise :class:`Refusal` ``other-root`` unless this is the root of the digest that was told."""
    if len(digest) < LEAST_DIGEST or root.digest.hex()[: len(digest)] != digest:
        raise Refusal("other-root", "the root is not the one of this digest", found=root.digest.hex())


def ask_digest(waiting: Waiting) -> bytes:
    """What the parcel says that it answers."""
    if waiting.secret is not None:
        return sha256(waiting.ask).digest()
    return sha256(read_signed(waiting.ask, EXACT).octets).digest()


def judged(waiting: Waiting, answer: bytes, opener: Opener, at: datetime) -> Judged:
    """What came, once it is what was asked for, from whom may send it; and the root.

    Raises :class:`Refusal` ``other-root``, ``other-answer``, ``other-name``, ``key-mismatch``, those of
    :func:`~e2s.security.environments.parcel.open_parcel`, and the verifier's rule.
    """
    parcel, root, crls = read_answer(answer)
    check_root(root, waiting.root)
    contents, signed = open_parcel(parcel, opener, secret=waiting.secret)
    if contents.reference != waiting.reference or contents.ask != ask_digest(waiting):
        raise Refusal("other-answer", "the parcel is the answer to another ask")
    if contents.kind != waiting.kind or tuple(one.label for one in contents.entries) != waiting.labels:
        raise Refusal("other-answer", "the parcel holds other keys than were asked for")
    verifier = Verifier((root,))
    verifier.judge(
        signed.signer_certificate, signed.certificates, crls, at=at, purpose=oids.COMPONENT, name=None
    ).or_refuse()
    for one in contents.entries:
        _check_entry(waiting, one)
        verifier.judge(one.certificate, one.chain, crls, at=at, purpose=None, name=None).or_refuse()
    return Judged(contents, signed, root)


def _check_entry(waiting: Waiting, one: Delivered) -> None:
    """The certificate is of the holder's name, and of the key that she made, or that came with it."""
    key = waiting.keys.get(one.label)
    own = waiting.kept.get(one.label) or (spki_of(key.public_key()) if key else b"")
    if bool(own) == (one.key is not None):
        raise Refusal("key-mismatch", "a key came that was not asked for, or did not come", label=one.label)
    if own and own != one.certificate.spki:
        raise Refusal("key-mismatch", "a certificate is of another key than was asked for", label=one.label)
    if not waiting.names or waiting.names[0] not in names_of(one.certificate):
        raise Refusal("other-name", "a certificate names another holder", name=one.certificate.name)
