"""A PSE is delivered once, to the key that asked first, and its receipt is on record.

The intent (what was asked, and the keys that key management made) is committed first; then is certified,
deposited where the kind says so, and sealed; the parcel is committed with its event before it leaves.  A
lost answer is repeated to the same ask alone, until the receipt is there.  What nobody receives in time is
revoked (:mod:`e2s.security.environments.overdue`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from e2s.base import wire
from e2s.base.errors import Fact, Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import FOREIGN, check_receipt, read_signed
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey
from e2s.security.certificates.possession import Proven
from e2s.security.enrolment.asking import Asked, Holder, Invited, Issued, Pending, Shown
from e2s.security.environments import store
from e2s.security.environments.kinds import HOLDER, Key, Kind, kind_called, kind_for
from e2s.security.environments.messages import Ask
from e2s.security.environments.office import Office
from e2s.security.environments.parcel import (
    Contents,
    Delivered,
    answer,
    pkcs8,
    read_pkcs8,
    sealed_parcel,
)
from e2s.security.keys.generation import generate

DOOR: Final = "pse"


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What an invitation, or a holder who renews, gets: a kind, and by what each key is certified."""

    kind: Kind
    shown: Mapping[str, Shown] = field(repr=False)
    names: tuple[str, ...] = ()
    secret: bytes | None = field(default=None, repr=False)
    holder: Certificate | None = None


def meant_by(office: Office, reference: str) -> Meant:
    """What the invitation is to; raises :class:`Refusal` of the desk's, or ``no-such-kind``.

    What was used up by its own delivery is still to what it was to.
    """
    secret = office.desk.secret(reference)
    with office.database.reading() as connection:
        row = store.meant(connection, reference)
        begun = store.delivery(connection, reference)
    names: tuple[str, ...] = ()
    try:
        if begun is not None:
            kind = kind_called(begun.kind, office.kinds)
        else:
            offer = office.desk.offer(Invited(reference=reference))
            names = offer.names
            kind = kind_called(row.kind, office.kinds) if row else kind_for(offer.profile, office.kinds)
    except Misuse as error:
        raise Refusal(error.rule, error.message, **error.facts) from error
    return Meant(kind=kind, shown=invited(reference, kind, row), names=names, secret=secret)


def invited(reference: str, kind: Kind, row: Any) -> dict[str, Shown]:
    """Which invitation gives each key; ``row`` is what is known of the first one."""
    further = json.loads(row.further) if row else {}
    return {key.label: Invited(reference=further.get(key.profile, reference)) for key in kind.keys}


def renewal_of(office: Office, ask: Ask, holder: Holder) -> Meant:
    """The same for a holder who renews: she signed with the key of one of her certificates, for all of them.

    Raises :class:`Refusal` ``no-such-kind``, ``other-reference``, ``not-yours`` for another's certificate,
    and what the desk refuses the signer's own with.
    """
    if ask.reference != renewal_reference(ask.nonce):
        raise Refusal("other-reference", "a renewal is named by its nonce")
    try:
        kind = kind_called(ask.kind, office.kinds)
    except Misuse as error:
        raise Refusal(error.rule, error.message, kind=ask.kind) from error
    office.desk.offer(holder)
    if ask.held.keys() != ask.requests.keys():
        raise Refusal("wrong-keys", "a renewal names the certificate of each of its keys")
    for one in ask.held.values():
        check_own(one, holder.certificate)
    shown: dict[str, Shown] = {
        label: Holder(certificate=one, certificates=holder.certificates) for label, one in ask.held.items()
    }
    return Meant(kind=kind, shown=shown, holder=holder.certificate)


def check_own(certificate: Certificate, own: Certificate) -> None:
    """Raise :class:`Refusal` ``not-yours`` unless a certificate is of the holder of ``own``."""
    same = certificate.slices.subject == own.slices.subject and certificate.names == own.names
    if not same or certificate.slices.issuer != own.slices.issuer:
        raise Refusal("not-yours", "this certificate is another's", serial=f"{certificate.serial:x}")


def renewal_reference(nonce: bytes) -> str:
    """What a renewal is called: no invitation has such a name."""
    return "renewal-" + wire.b64u(nonce)


def deliver(office: Office, ask: Ask, meant: Meant) -> bytes | Pending:
    """The answer with the parcel, or that an officer has to say so first.

    Raises :class:`Refusal` ``already-delivered`` for another ask than the first, or after its receipt,
    ``delivery-over``, ``wrong-keys``, ``no-escrow``, and what the desk refuses with.
    """
    row = _known(office, ask) or _begun(office, ask, meant)
    _check_same(office, ask, row)
    if row.state == "sealed":
        return _answered(office, row.parcel)
    made = {
        label: read_pkcs8(wire.unb64u(octets))
        for label, octets in json.loads(office.waits.open(ask.reference.encode(), row.keys)).items()
    }
    entries = []
    for key in _wanted(meant.kind, ask):
        issued = _certified(office, ask, meant, key, made.get(key.label))
        if isinstance(issued, Pending):
            return issued
        entries.append(_entry(office, key, issued, made.get(key.label)))
    return _answered(office, _sealed(office, ask, meant, tuple(entries)))


def _known(office: Office, ask: Ask) -> Any | None:
    with office.database.reading() as connection:
        return store.delivery(connection, ask.reference)


def _begun(office: Office, ask: Ask, meant: Meant) -> Any:
    """The row of a new delivery: this ask's, or of the one that was quicker."""
    _check_keys(office, ask, meant)
    keys = {
        key.label: wire.b64u(pkcs8(generate(key.suite, office.random)))
        for key in _wanted(meant.kind, ask)
        if key.made != HOLDER
    }
    sealed = office.waits.seal(ask.reference.encode(), json.dumps(keys).encode())
    now = office.now()
    until = format_instant(now + office.waiting)
    with office.database.transaction() as connection:
        if store.delivery(connection, ask.reference) is None:
            store.begin(
                connection,
                reference=ask.reference,
                ask=ask.digest,
                held=ask.encoded_held(),
                kind=meant.kind.name,
                state="asked",
                at=format_instant(now),
                until=until,
                keys=sealed,
            )
            facts = {"reference": ask.reference, "kind": meant.kind.name, "until": until}
            office.event(connection, "pse.asked", facts)
        return store.delivery(connection, ask.reference)


def _check_same(office: Office, ask: Ask, row: Any) -> None:
    """Raise unless the delivery is to this ask, and goes on."""
    if row.ask == ask.digest and row.state == "over":
        raise Refusal("delivery-over", "nobody received the parcel in time: ask for a new invitation")
    if row.ask != ask.digest or row.state in {"delivered", "over"}:
        refusal = Refusal("already-delivered", "this PSE was delivered, or is being, to who asked first")
        office.refused(refusal, reference=ask.reference)
        raise refusal


def _wanted(kind: Kind, ask: Ask) -> list[Key]:
    """The keys that are asked for, in the kind's order."""
    return [key for key in kind.keys if key.label in ask.requests]


def _check_keys(office: Office, ask: Ask, meant: Meant) -> None:
    """Raise unless the ask is for keys of the kind (an invitation's for all), with the holder's requests."""
    wanted = _wanted(meant.kind, ask)
    fits = ask.kind == meant.kind.name and len(wanted) == len(ask.requests)
    whole = meant.holder is not None or len(wanted) == len(meant.kind.keys)
    brought = all(bool(ask.requests[key.label]) == (key.made == HOLDER) for key in wanted)
    if not (fits and whole and brought):
        sentence = "the request has not the keys of this kind of PSE"
        raise Refusal("wrong-keys", sentence, kind=meant.kind.name)
    if office.deposit is None and any(key.escrow for key in wanted):
        raise Refusal("no-escrow", "keys of this kind are deposited first, and there is no escrow here")


def _certified(office: Office, ask: Ask, meant: Meant, key: Key, made: PrivateKey | None) -> Issued | Pending:
    """The certificate for one label: always the same for the same ask."""
    if made is None:
        request: bytes | Proven = ask.requests[key.label]
    else:
        request = Proven(made.public_key(), spki_of(made.public_key()))
    return office.desk.ask(
        Asked(
            door=DOOR,
            transaction=transaction_of(ask.digest, key.label),
            request=request,
            shown=meant.shown[key.label],
            profile=key.profile,
        )
    )


def transaction_of(ask: bytes, label: str) -> bytes:
    """What names the request of one label at the desk, for the ask of this digest."""
    return sha256(ask + label.encode()).digest()


def _entry(office: Office, key: Key, issued: Issued, made: PrivateKey | None) -> Delivered:
    """One entry of the parcel; deposited first where the kind says so."""
    certificate = Certificate.read(issued.certificate)
    if key.escrow and made is not None and office.deposit is not None:
        office.deposit.deposit(certificate.name, certificate, made)
    chain = tuple(Certificate.read(one) for one in issued.chain)
    return Delivered(label=key.label, certificate=certificate, chain=chain, key=made, fresh=key.fresh)


def _sealed(office: Office, ask: Ask, meant: Meant, entries: tuple[Delivered, ...]) -> bytes:
    """The parcel as it is kept: this one, or that of whoever was quicker."""
    now = office.now()
    contents = Contents(reference=ask.reference, ask=ask.digest, kind=meant.kind.name, entries=entries)
    parcel = sealed_parcel(
        contents, ask.seal_to, office.signer, now, secret=meant.secret, random=office.random
    )
    serials = " ".join(f"{one.label}:{one.certificate.serial:x}" for one in entries)
    receiver = meant.holder or entries[0].certificate
    with office.database.transaction() as connection:
        if store.seal(
            connection,
            ask.reference,
            parcel=parcel,
            receiver=receiver.der,
            serials=serials,
            until=now + office.waiting,
        ):
            facts: dict[str, Fact] = {
                "reference": ask.reference,
                "kind": meant.kind.name,
                "name": receiver.name,
                "serials": serials,
                "deposited": sum(key.escrow for key in _wanted(meant.kind, ask)),
            }
            office.event(connection, "pse.sealed", facts)
        row = store.delivery(connection, ask.reference)
    if row is None:
        raise Refusal("no-such-delivery", "the delivery is gone", reference=ask.reference)
    _check_same(office, ask, row)
    return bytes(row.parcel)


def _answered(office: Office, parcel: bytes) -> bytes:
    return answer(parcel, office.desk.root, office.crls())


def receive(office: Office, reference: str, receipt: bytes) -> None:
    """Record the holder's receipt; repeating it changes nothing.

    Raises :class:`Refusal` ``no-such-delivery``, ``delivery-over``, ``wrong-receipt``, ``other-receiver``...
    """
    with office.database.reading() as connection:
        row = store.delivery(connection, reference)
    if row is None or row.state == "asked":
        sentence = "no parcel of this delivery was given out"
        raise Refusal("no-such-delivery", sentence, reference=reference[:64])
    if row.state == "over":
        raise Refusal("delivery-over", "nobody received the parcel in time", reference=reference)
    if row.state == "delivered":
        return  # the parcel is forgotten: nothing is left to be said of it
    found = check_receipt(receipt, read_signed(row.parcel, FOREIGN))
    if found.signer_certificate.der != row.receiver:
        raise Refusal("other-receiver", "the receipt is signed by another key than the PSE's")
    with office.database.transaction() as connection:
        if store.end(connection, reference, "sealed", "delivered", receipt):
            facts: dict[str, Fact] = {
                "reference": reference,
                "name": found.signer_certificate.name,
                "receipt": "sha-256:" + wire.b64u(sha256(receipt).digest()),
            }
            office.event(connection, "pse.delivered", facts)
