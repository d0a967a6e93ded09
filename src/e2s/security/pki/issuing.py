"""Certificates are issued in groups: a commit of all intents, each signature, a commit of all records.

What one order is refused for does not touch its neighbours.  A certificate leaves only after the commit of
its record and event; a serial that was intended and not recorded is void.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import sqlalchemy as sa

from e2s.base.errors import E2SError, Fact, Refusal
from e2s.base.wire import b64u
from e2s.crypto.certificates import serial_number
from e2s.crypto.ports import Signer
from e2s.security.certificates.certify import Wish, certify_all, certify_der
from e2s.security.pki import store
from e2s.security.pki.feed import Kind
from e2s.security.pki.office import Office
from e2s.security.pki.preparing import Wanted
from e2s.security.status.entries import Entry, encode

#: The reason of a serial that was intended and never recorded.
VOID = "cessationOfOperation"
#: Of one group; more are issued in several.
MOST = 1000


class _Intended(NamedTuple):
    """A certificate on its way."""

    wanted: Wanted
    serial: int
    row: dict[str, object]


def issue_wanted(office: Office, wanted: Sequence[Wanted | E2SError]) -> list[bytes | E2SError]:
    """Issue what was permitted, in one group; what was refused before passes through.

    The certificate, DER, or the refusal for each, in order; raises where nothing can be kept.
    """
    results: list[bytes | E2SError] = []
    rolling = Rolling(office)
    for start in range(0, len(wanted), MOST):
        results += rolling.step(wanted[start : start + MOST])
    return results + rolling.step(())


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A group whose intents are committed; ``name`` is what the note of them is called by."""

    name: bytes
    at: datetime
    members: list[bytes | E2SError | _Intended]

    @property
    def intended(self) -> list[_Intended]:
        """What is to be signed."""
        return [one for one in self.members if isinstance(one, _Intended)]


class Rolling:
    """Groups one after another: the commit of a group's records is that of the next one's intents."""

    def __init__(self, office: Office) -> None:
        """Nothing is under way yet."""
        self._office = office
        self._group: _Group | None = None

    def step(self, wanted: Sequence[Wanted | E2SError]) -> list[bytes | E2SError]:
        """Note the next group, which may be empty, and finish the one before: its results.

        Where it raises, neither is issued; what was noted of them is voided by the next step.
        """
        office, before = self._office, self._group
        self._group = None
        at = office.clock.now()
        pending = before is not None and bool(before.name)
        signed: dict[int, bytes | E2SError] = {}
        try:
            group = _Group(name=b"", at=at, members=[one for one in wanted if isinstance(one, E2SError)])
            if pending or len(group.members) < len(wanted):
                signer = office.signer
                if before is not None:
                    signed = _signed(office, signer, before)
                with office.database.transaction() as connection:
                    # in this order: nothing may be looked for behind what is not committed
                    if len(group.members) < len(wanted):
                        members, name = _intend(office, connection, wanted, at)
                        group = _Group(name=name, at=at, members=members)
                    if before is not None and pending:
                        _record(office, connection, before, signed)
                    void_abandoned(office, connection)
        except BaseException:
            if before is not None and pending:
                office.abandoned.append(before.name)
            raise
        self._group = group if wanted else None
        members = [] if before is None else before.members
        return [signed[one.serial] if isinstance(one, _Intended) else one for one in members]


def _intend(
    office: Office, connection: sa.Connection, wanted: Sequence[Wanted | E2SError], at: datetime
) -> tuple[list[bytes | E2SError | _Intended], bytes]:
    """Note what will be signed, and what names the note: a key of one use only, an approval once."""
    results: list[bytes | E2SError | _Intended] = []
    pending = store.intents(connection)
    spkis = [one.spki for one in wanted if isinstance(one, Wanted)]
    uses = {(row["spki"], row["use"]) for row in pending}
    uses |= store.uses_of_keys(connection, office.finder, spkis)
    used: dict[bytes, set[str]] = {}
    for spki, use in uses:
        used.setdefault(spki, set()).add(use)
    approved = {(row["approval"], row["spki"]) for row in pending if row["approval"]}
    rows = []
    for one in wanted:
        if isinstance(one, E2SError):
            results.append(one)
            continue
        known = _known(office, connection, one, used.get(one.spki, ()), approved)
        if known is not None:
            results.append(known)
            continue
        intended = _intended(office, one, at)
        used.setdefault(one.spki, set()).add(one.wish.profile.use.value)
        if one.approval:
            approved.add((one.approval, one.spki))
        rows.append(intended.row)
        results.append(intended)
    return results, store.intend(connection, rows) if rows else b""


def _known(
    office: Office,
    connection: sa.Connection,
    one: Wanted,
    used: Collection[str],
    approved: set[tuple[bytes, bytes]],
) -> bytes | E2SError | None:
    """The certificate that there already is, or why there can be none."""
    if one.approval:
        before = store.of_approval(connection, office.finder, one.approval, one.spki)
        if before is not None:
            return before
        if (one.approval, one.spki) in approved:
            return Refusal("being-issued", "this order is being carried out: ask again")
    if any(use != one.wish.profile.use.value for use in used):
        return Refusal("key-reused", "a key serves one use, and this one already has another")
    return None


def _intended(office: Office, one: Wanted, at: datetime) -> _Intended:
    serial = serial_number(office.random)
    row: dict[str, object] = {
        "serial": store.serial_octets(serial),
        "profile": one.wish.profile.name,
        "use": one.wish.profile.use.value,
        "name": one.name,
        "spki": one.spki,
        "at": store.seconds(at),
        "shard": office.shard(serial),
        "registration": one.case,
        "approval": one.approval,
    }
    return _Intended(wanted=one, serial=serial, row=row)


def _signed(office: Office, signer: Signer, group: _Group) -> dict[int, bytes | E2SError]:
    """The certificates by serial; what the linter or the key's holder refuses is refused for itself alone."""
    at = group.at
    signed: dict[int, bytes | E2SError] = {}
    wishes = []
    for one in group.intended:
        unproven = one.wanted.unproven()
        if unproven is None:
            wishes.append((one.wanted.wish, one.serial))
        else:
            signed[one.serial] = unproven
    try:
        made: Sequence[bytes | E2SError] = certify_all(wishes, signer, at=at, places=office.places)
    except E2SError:
        made = [_signed_alone(office, signer, wish, serial, at) for wish, serial in wishes]
    signed.update(zip((serial for _wish, serial in wishes), made, strict=True))
    return signed


def _signed_alone(office: Office, signer: Signer, wish: Wish, serial: int, at: datetime) -> bytes | E2SError:
    try:
        return certify_der(wish, signer, serial=serial, at=at, places=office.places)
    except E2SError as error:
        return error


def _record(
    office: Office,
    connection: sa.Connection,
    group: _Group,
    signed: dict[int, bytes | E2SError],
) -> None:
    """The certificates with their events; an intent that another start of this CA voided stays void."""
    there, at = store.dropped(connection, group.name), group.at
    rows = []
    told: list[dict[str, Fact]] = []
    latest = office.certificate.not_after
    for one in group.intended:
        der = signed[one.serial]
        facts: dict[str, Fact] = {
            "serial": f"{one.serial:x}",
            "profile": one.wanted.wish.profile.name,
            "name": one.wanted.name,
            "officer": one.wanted.officer,
            "case": one.wanted.case or None,
            "approval": b64u(one.wanted.approval) or None,
        }
        if not there:
            signed[one.serial] = Refusal("serial-void", "this CA was started anew meanwhile: ask again")
        elif isinstance(der, E2SError):
            office.event(connection, "refused", at, facts, outcome=der.rule)
        else:
            wish = one.wanted.wish
            end = min(wish.not_after or at + wish.profile.lifetime, latest)
            rows.append({**one.row, "not_after": store.seconds(end), "der": der})
            facts["certificate"] = f"sha-256:{b64u(sha256(der).digest())}"
            told.append(facts)
    store.issued(connection, rows)
    office.events(connection, "certificate.issued", at, told)
    office.finder.settle(connection)


def void(office: Office, connection: sa.Connection, intents: Collection[bytes] | None = None) -> None:
    """Revoke what was intended and never recorded: what ``intents`` name, or all of it."""
    at = office.clock.now()
    end = store.seconds(office.certificate.not_after)
    for name, rows in store.all_intents(connection):
        if intents is not None and name not in intents:
            continue
        store.dropped(connection, name)
        for row in rows:
            kept = store.voided(connection, {**row, "not_after": end})
            serial = int.from_bytes(kept.serial, "big")
            entry = encode(Entry(serial, at, VOID))
            store.withdraw(connection, kept, Kind.REVOKED, entry, at=at, reason=VOID)
            office.event(connection, "certificate.voided", at, {"serial": f"{serial:x}"})


def void_abandoned(office: Office, connection: sa.Connection) -> None:
    """Revoke what an earlier group could not record, the disk being full, say."""
    if office.abandoned:
        void(office, connection, office.abandoned)
        office.abandoned = []
