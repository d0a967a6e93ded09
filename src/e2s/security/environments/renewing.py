"""A PSE is renewed by its own key: what it signed for is certified anew, and what opens stays.

Keys that opened until now are kept under another label, so that what was sealed to them can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509

from e2s.base import wire
from e2s.crypto import oids
from e2s.crypto.acts import write_parcel
from e2s.crypto.cms import Signed, receipt_for, sign
from e2s.crypto.kinds import PrivateKey
from e2s.security.certificates.certify import request
from e2s.security.environments import waiting as waits
from e2s.security.environments.delivering import renewal_reference
from e2s.security.environments.holding import (
    EPHEMERAL_SUITE,
    ORIGIN,
    ROOT,
    Edges,
    ephemeral_certificate,
    names_of,
)
from e2s.security.environments.kinds import HOLDER, Kind
from e2s.security.environments.messages import NONCE_BYTES, Ask
from e2s.security.environments.service import RECEIPT
from e2s.security.environments.waiting import Waiting
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse

Kept = TypeVar("Kept")
_BEFORE: Final = "-before"


def begin_renewal(
    path: Path, pse: SoftwarePse, phrase: Phrase, kind: Kind, edges: Edges, *, new_keys: bool = True
) -> Waiting:
    """The same for a PSE that is renewed: its first key signs the ask, for every key of the kind that it has.

    Without ``new_keys`` the holder's own keys are certified again.  What waits there goes on.
    """
    if waits.waits(path):
        return waits.read(path, phrase)
    entries = pse.entries(phrase)
    signer = pse.signer(kind.keys[0].label, phrase)
    wanted = [key for key in kind.keys if key.label in entries]
    keys: dict[str, PrivateKey] = {
        key.label: generate(key.suite, edges.random) if new_keys else entries[key.label].private_key
        for key in wanted
        if key.made == HOLDER
    }
    opens = next((key.label for key in wanted if not key.signs), None)
    ephemeral = None if opens else generate(EPHEMERAL_SUITE, edges.random)
    now = edges.clock.now()
    if ephemeral is not None:
        seal_to = ephemeral_certificate(ephemeral, now, edges.random)
    else:
        seal_to = entries[opens or ""].certificate
    names = names_of(signer.certificate)
    nonce = edges.random(NONCE_BYTES)
    ask = Ask(
        reference=renewal_reference(nonce),
        origin=pse.attributes.get(ORIGIN, ""),
        at=now,
        nonce=nonce,
        seal_to=seal_to,
        kind=kind.name,
        requests={
            key.label: request(keys[key.label], names_of(entries[key.label].certificate))
            if key.label in keys
            else b""
            for key in wanted
        },
        held={key.label: entries[key.label].certificate for key in wanted},
    )
    made = Waiting(
        reference=ask.reference,
        origin=ask.origin,
        kind=kind.name,
        labels=tuple(ask.requests),
        fresh=tuple(key.label for key in wanted if key.fresh),
        names=names,
        root=sha256(wire.unb64u(pse.attributes.get(ROOT, ""))).hexdigest(),
        ask=sign(wire.encode(ask.said()), oids.DATA, signer, now),
        seal_to=seal_to,
        ephemeral=ephemeral,
        keys=keys,
    )
    waits.keep(path, made, phrase, cost=edges.cost, random=edges.random)
    return made


def renewed(
    path: Path, phrase: Phrase, waiting: Waiting, entries: Mapping[str, Entry], signed: Signed, edges: Edges
) -> bytes:
    """The receipt by the old key, then the new keys in their places."""
    pse = SoftwarePse.open(path, phrase)
    try:
        # the old key is kept until the receipt is taken: who was interrupted signs with it
        first = waiting.labels[0]
        before = f"{first}{_BEFORE}"
        label = before if before in pse.labels() else first
        receipt = receipt_for(signed, pse.signer(label, phrase), edges.clock.now())
        if pse.certificate(first) != entries[first].certificate:
            pse.change(phrase, lambda old: _with_new(old, entries), random=edges.random)
        return write_parcel(RECEIPT, [waiting.reference.encode(), receipt])
    finally:
        pse.close()


def _with_new(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries with the new ones in their places."""
    made = dict(old)
    for label, entry in new.items():
        was = old[label]
        made[label] = entry
        if next(iter(new)) == label:
            made[f"{label}{_BEFORE}"] = was
        elif entry.certificate.spki != was.certificate.spki and not _signs(was):
            made[f"{label}-{was.certificate.serial:x}"] = was
    return made


def _signs(entry: Entry) -> bool:
    usage = entry.certificate.values.get(x509.KeyUsage)
    return usage is None or bool(usage.digital_signature)


def without_before(entries: Mapping[str, Kept]) -> dict[str, Kept]:
    """The entries without the key that signed the last receipt."""
    return {label: one for label, one in entries.items() if not label.endswith(_BEFORE)}
