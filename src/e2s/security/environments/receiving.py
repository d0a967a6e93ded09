"""A holder's side of a delivery: she makes her keys and the ask, takes the parcel, and signs its receipt."""

from __future__ import annotations

from pathlib import Path

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.acts import write_parcel
from e2s.crypto.cms import Signed, receipt_for
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import KeyOpener
from e2s.security.certificates.certify import request
from e2s.security.environments import waiting as waits
from e2s.security.environments.documents import sealed
from e2s.security.environments.holding import (
    EPHEMERAL_SUITE,
    KIND,
    ORIGIN,
    ROOT,
    Edges,
    Invitation,
    Keeper,
    ephemeral_certificate,
)
from e2s.security.environments.judging import Judged, judged
from e2s.security.environments.kinds import HOLDER, Kind
from e2s.security.environments.messages import NONCE_BYTES, Ask
from e2s.security.environments.parcel import Delivered
from e2s.security.environments.renewing import renewed, without_before
from e2s.security.environments.service import RECEIPT
from e2s.security.environments.waiting import Waiting
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse


def begin(
    pse: Path,
    phrase: Phrase,
    invitation: Invitation,
    kind: Kind,
    names: tuple[str, ...],
    origin: str,
    edges: Edges,
    *,
    keeper: Keeper | None = None,
) -> Waiting:
    """Make the keys and the ask, and keep them beside the PSE that is to be; what waits there goes on.

    ``keeper`` has the keys of a kind that is not kept in software.  Raises :class:`Misuse` ``pse-exists``,
    ``key-waits`` where another delivery is under way, and ``other-keeping``.
    """
    if waits.waits(pse):
        return under_way(pse, phrase, invitation)
    if pse.is_file():
        raise Misuse("pse-exists", "there already is a file here", path=str(pse))
    if (kind.keeping == "software") != (keeper is None):
        raise Misuse("other-keeping", f"this kind of PSE is kept in: {kind.keeping}", kind=kind.name)
    own = [key for key in kind.keys if key.made == HOLDER]
    keys: dict[str, PrivateKey] = {
        key.label: keeper.key(key.label, key.suite) if keeper else generate(key.suite, edges.random)
        for key in own
    }
    ephemeral = generate(EPHEMERAL_SUITE, edges.random)
    seal_to = ephemeral_certificate(ephemeral, edges.clock.now(), edges.random)
    requests = {
        key.label: request(keys[key.label], names) if key.made == HOLDER else b"" for key in kind.keys
    }
    ask = Ask(
        reference=invitation.reference,
        origin=origin,
        at=edges.clock.now(),
        nonce=edges.random(NONCE_BYTES),
        seal_to=seal_to,
        kind=kind.name,
        requests=requests,
    )
    made = Waiting(
        reference=invitation.reference,
        origin=origin,
        kind=kind.name,
        labels=tuple(requests),
        fresh=tuple(key.label for key in kind.keys if key.fresh),
        names=names,
        root=invitation.root,
        ask=sealed(ask.said(), invitation.secret),
        seal_to=seal_to,
        secret=invitation.secret,
        ephemeral=ephemeral,
        keys={} if keeper else keys,
        kept={label: spki_of(key.public_key()) for label, key in keys.items()} if keeper else {},
    )
    waits.keep(pse, made, phrase, cost=edges.cost, random=edges.random)
    return made


def under_way(pse: Path, phrase: Phrase, invitation: Invitation) -> Waiting:
    """What waits for a PSE, of this invitation; raises :class:`Misuse` ``key-waits`` for another's."""
    found = waits.read(pse, phrase)
    if found.reference != invitation.reference:
        raise Misuse("key-waits", "another delivery is under way here", reference=found.reference)
    return found


def finish(path: Path, phrase: Phrase, answer: bytes, edges: Edges, *, keeper: Keeper | None = None) -> bytes:
    """Judge the answer, make or renew the PSE, and give the receipt that is to be sent.

    The answer is kept before, so that this can be done again; afterwards it changes nothing.
    """
    waiting = waits.read(path, phrase)
    if not waiting.answer:
        _judged(path, phrase, waiting, answer, edges)
        waiting = waiting.answered(answer)
        waits.keep(path, waiting, phrase, cost=edges.cost, random=edges.random)
    contents, signed, root = _judged(path, phrase, waiting, waiting.answer, edges)
    if keeper is not None:
        for one in contents.entries:
            keeper.certified(one.label, one.certificate, one.chain)
        signer = keeper.signer(contents.entries[0].label)
        return _written(waiting, receipt_for(signed, signer, edges.clock.now()))
    entries = {one.label: _entry_of(waiting, one) for one in contents.entries}
    if waiting.secret is None:
        return renewed(path, phrase, waiting, entries, signed, edges)
    if not path.exists():
        attributes = {KIND: waiting.kind, ORIGIN: waiting.origin, ROOT: wire.b64u(root.der)}
        SoftwarePse.create(
            path, phrase, entries, attributes=attributes, cost=edges.cost, random=edges.random
        ).close()
    return _receipt(path, phrase, waiting, signed, contents.entries[0].label, edges)


def _judged(path: Path, phrase: Phrase, waiting: Waiting, answer: bytes, edges: Edges) -> Judged:
    """What the answer holds, opened by the key that asked."""
    key = waiting.ephemeral
    if key is None:
        pse = SoftwarePse.open(path, phrase)
        try:
            entries = pse.entries(phrase).values()
        finally:
            pse.close()
        own = (one.private_key for one in entries)
        key = next((one for one in own if spki_of(one.public_key()) == waiting.seal_to.spki), None)
    if key is None:
        raise Misuse("no-such-key", "the key to which the parcel is sealed is gone")
    return judged(waiting, answer, KeyOpener(waiting.seal_to, key), edges.clock.now())


def _entry_of(waiting: Waiting, one: Delivered) -> Entry:
    key = waiting.keys.get(one.label) or one.key
    if key is None:
        raise Refusal("key-mismatch", "there is no key for a certificate", label=one.label)
    fresh = one.label in waiting.fresh
    return Entry(private_key=key, certificate=one.certificate, chain=one.chain, fresh=fresh)


def done(path: Path, phrase: Phrase, edges: Edges) -> None:
    """The receipt was taken: forget what waited, and the old key that signed it."""
    waits.forget(path)
    if not path.is_file():
        return  # its keys live elsewhere
    pse = SoftwarePse.open(path, phrase)
    try:
        if without_before(dict.fromkeys(pse.labels())).keys() != set(pse.labels()):
            pse.change(phrase, without_before, random=edges.random)
    finally:
        pse.close()


def _receipt(path: Path, phrase: Phrase, waiting: Waiting, signed: Signed, label: str, edges: Edges) -> bytes:
    pse = SoftwarePse.open(path, phrase)
    try:
        receipt = receipt_for(signed, pse.signer(label, phrase), edges.clock.now())
    finally:
        pse.close()
    return _written(waiting, receipt)


def _written(waiting: Waiting, receipt: bytes) -> bytes:
    return write_parcel(RECEIPT, [waiting.reference.encode(), receipt])
