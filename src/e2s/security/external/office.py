"""Officers of a domain say whom of others it trusts, within which limits, and who their users are here.

Each act is a signed record, taken with its event in one transaction; a dry run says what it would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock, parse_instant
from e2s.base.rights import Authoriser
from e2s.base.wire import b64u
from e2s.crypto import oids
from e2s.crypto.acts import read_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.external import records, store
from e2s.security.external.mapping import Mapped, Rule, mapped
from e2s.security.external.providers import Provider
from e2s.security.external.records import FORGET, MAP, TRUST, UNDO, UNMAP, Record, State
from e2s.security.pki import rights
from e2s.security.pki.rights import RIGHTS
from e2s.security.verification.trust import Trust
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier

FILE: Final = "external.sqlite"
_STALE_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Office:
    """What a domain knows of others; ``domain`` is its CA's component name, ``trust`` judges its officers."""

    component: str
    community: str
    domain: str
    database: Database
    root: Certificate
    trust: Trust
    authoriser: Authoriser
    clock: Clock

    def records(self) -> tuple[Record, ...]:
        """Every record, proven."""
        with self.database.reading() as connection:
            octets = store.records(connection)
        return records.read_chain(octets, root=self.root, to=self.domain)

    def state(self) -> State:
        """What holds now."""
        return records.state_of(self.records())


def trust(office: Office, signer: Signer, provider: Provider, *, why: str = "", dry: bool = False) -> State:
    """Trust a provider's roots within limits; raises ``own-root``, ``provider-known``..."""
    if office.root in provider.roots:
        raise Refusal("own-root", "this community's own root is trusted as it is")
    roots = [b64u(root.der) for root in provider.roots]
    return _say(office, signer, TRUST, provider.name, why, dry, roots=roots, limits=provider.said())


def forget(office: Office, signer: Signer, name: str, *, why: str = "", dry: bool = False) -> State:
    """Trust a provider no more, nor map its users; raises ``no-such-provider``..."""
    return _say(office, signer, FORGET, name, why, dry)


def map_users(office: Office, signer: Signer, rule: Rule, *, why: str = "", dry: bool = False) -> State:
    """Say who a provider's users are here; raises ``no-such-provider``, ``rule-known``..."""
    return _say(office, signer, MAP, rule.provider, why, dry, rule=_rule(rule))


def unmap_users(office: Office, signer: Signer, rule: Rule, *, why: str = "", dry: bool = False) -> State:
    """Say it no more; names that were given stay given.  Raises ``no-such-rule``..."""
    return _say(office, signer, UNMAP, rule.provider, why, dry, rule=_rule(rule))


def undo(office: Office, signer: Signer, number: int, *, why: str = "", dry: bool = False) -> State:
    """Take a record back, an undoing as well; raises ``no-such-record``, and where what is left fails."""
    if not 1 <= number <= len(office.records()):
        raise Refusal("no-such-record", "there is no record of this number", number=number)
    return _say(office, signer, UNDO, "", why, dry, undoes=number)


def _say(office: Office, signer: Signer, act: str, provider: str, why: str, dry: bool, **more: Any) -> State:  # noqa: FBT001
    """What holds after the record; taken unless ``dry``."""
    now, before = office.clock.now(), office.records()
    document = records.document_of(
        act,
        provider,
        certificate=signer.certificate,
        to=office.domain,
        at=now,
        before=before,
        why=why,
        **more,
    )
    octets = records.signed(document, signer, now)
    made = records.read_record(octets, before, root=office.root, to=office.domain)
    state = records.state_of((*before, made))
    if not dry:
        take(office, octets)
    return state


def take(office: Office, octets: bytes) -> Record:
    """Take a record that an officer signed; the same once more is refused.

    Raises :class:`Refusal` ``not-authorised``, ``duties-not-separate``, ``broken-chain``, ``stale``, and of
    the verifier's rule for the officer's certificate.
    """
    act, now = read_act(octets), office.clock.now()
    office.trust.check_certificate(
        act.certificate, act.certificates, purpose=oids.SIGNING["officer"], name=None, at=now
    )
    rights.require(office.authoriser, act.certificate.name, RIGHTS.policy, office.domain)
    before = office.records()
    made = records.read_record(octets, before, root=office.root, to=office.domain)
    if abs((parse_instant(made.at) - now).total_seconds()) > _STALE_SECONDS:
        raise Refusal("stale", "the record was signed long ago, or a clock is wrong", at=made.at)
    records.state_of((*before, made))
    facts = {"number": made.number, "provider": made.document["provider"], "officer": made.officer}
    with office.database.transaction() as connection:
        if len(store.records(connection)) != len(before):
            raise Refusal("broken-chain", "another record was taken meanwhile")
        store.add_record(connection, made.number, octets)
        event = Event(kind=f"external.{made.act}", at=now, component=office.component, facts=facts)
        store.OUTBOX.sink(connection).append(event)
    return made


def judge(
    state: State,
    certificate: Certificate,
    untrusted: Sequence[Certificate],
    crls: Sequence[bytes],
    *,
    at: datetime,
    purpose: str,
    name: str | None = None,
    ocsp: Sequence[bytes] = (),
) -> tuple[Provider, Verdict]:
    """A provider's certificate under the limits, with its revocation; raises the verifier's rule."""
    verdict = Verifier(state.anchors()).judge(
        certificate, untrusted, crls, at=at, purpose=purpose, name=name, ocsp=ocsp
    )
    return state.provider_of(verdict.or_refuse().anchor), verdict


def seen_as(office: Office, provider: Provider, certificate: Certificate) -> str:
    """Who the holder would be here, or is; empty where no rule says so.  Gives no name.

    Raises :class:`Refusal` ``mapping-ambiguous`` or ``bad-name``.
    """
    try:
        return mapped(office.state().rules, provider.name, certificate).name(office.community)
    except Refusal as refusal:
        if refusal.rule != "not-mapped":
            raise
        return ""


def user_of(office: Office, provider: Provider, certificate: Certificate) -> tuple[Mapped, str]:
    """Who the holder of a certificate that was judged good is here: given once, the same for ever.

    Raises :class:`Refusal` ``not-mapped``, ``mapping-ambiguous``, ``mapping-changed`` where rules changed
    since, ``name-given`` where the name is another user's, ``name-confusable`` where it looks like one.
    """
    found = mapped(office.state().rules, provider.name, certificate)
    name, now = found.name(office.community), office.clock.now()
    with office.database.transaction() as connection:
        known = store.user(connection, found.identity)
        if known is not None:
            if known.name != name:
                raise Refusal("mapping-changed", "this user has another name here already", name=known.name)
            return found, name
        other = store.owner(connection, found.key)
        if other is not None:
            rule = "name-given" if other.name == name else "name-confusable"
            raise Refusal(rule, "this name is another user's, or can be taken for it", name=other.name)
        store.add_user(connection, found, name, now)
        facts = {"provider": provider.name, "name": name, "certificate": certificate.id}
        event = Event(kind="external.user", at=now, component=office.component, facts=facts)
        store.OUTBOX.sink(connection).append(event)
    return found, name


def _rule(rule: Rule) -> dict[str, str]:
    return {"pattern": rule.pattern, "party": rule.party, "label": rule.label}
