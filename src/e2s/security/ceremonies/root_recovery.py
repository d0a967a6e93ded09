"""When the root is lost, a new one certifies every CA's key, and every CA certifies again what it had.

CAs keep their keys, so what was sealed or signed stays so.  Where the old root's key can still be used, the
roots certify each other (RFC 9810, 4.4: old with new and new with old), and the old one signs the new anchor;
where it cannot, the new anchor reaches everybody as the first one did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.security.ceremonies.ceremony import found_root, open_root
from e2s.security.ceremonies.folder import (
    CEREMONIES,
    ROOT,
    Setting,
    copy_records,
    open_folder_key,
    publish_own,
    read_root,
)
from e2s.security.ceremonies.occasion import Occasion, certified
from e2s.security.ceremonies.recovery import Outcome, Plan, carry_out, limits_of, names_of, write_report
from e2s.security.ceremonies.replacing import REPORT, begin
from e2s.security.ceremonies.root import Root
from e2s.security.ceremonies.standalone import Look, look, look_root, open_ca
from e2s.security.certificates.certify import Wish
from e2s.security.certificates.profiles import Limits, profile
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import holdings

#: In the new root's folder: both links, and the old root's word that the new one is the anchor.
NEW_WITH_OLD: Final = "new-with-old.pem"
OLD_WITH_NEW: Final = "old-with-new.pem"
ANCHOR: Final = "anchor.cms"
ANCHOR_TYPE: Final = "e2s/1/anchor"
_MAX_ANCHOR_BYTES: Final = 64 * 1024
_ANCHOR_MEMBERS: Final = {"type", "community", "old", "new", "at"}


@dataclass(frozen=True)
class Branch:
    """A CA beneath the lost root: its folder, and what opens its key."""

    folder: Path
    secret: Phrase


@dataclass(frozen=True, kw_only=True)
class Recovering:
    """Which root is lost, where the new one is founded, by whom; ``old`` is open where its key still is."""

    lost: Look
    folder: Path
    branches: tuple[Branch, ...]
    officer: str
    occasion: Occasion
    old: Root | None = None


Tell = Callable[[str, int, int], None]


def recover_root(wanted: Recovering, phrase: Phrase, *, setting: Setting, tell: Tell) -> list[Outcome]:
    """Found the new root and certify everything again; ``tell`` hears of which CA how many are done.

    The officer holds a right at the root by its last record.  Called again after a kill it goes on.  Raises
    :class:`Refusal` ``not-authorised``, :class:`Misuse` ``not-of-this-root``, ``other-recovery``.
    """
    require_officer(wanted.lost, wanted.officer)
    case = begin(wanted.folder, wanted.lost.own.id, setting)
    root = _new_root(wanted, phrase, setting)
    try:
        branches = []
        for branch in wanted.branches:
            if rules_itself(branch.folder):
                _for_manager(root, branch, wanted)
            else:
                _certify_again(root, branch, wanted, setting)
                branches.append(branch)
        if wanted.old is not None:
            _link(wanted.old, root, wanted)
        root.current_crl()
        outcomes: list[Outcome] = []
        for branch in branches:
            copy_records(root.folder, branch.folder, root.certificate)
            outcomes += _carry_out(branch, case, wanted, setting, tell)
    finally:
        root.close()
    write_report(wanted.folder / REPORT, outcomes)
    return outcomes


def lost_root(old: Path, folder: Path, beneath: Sequence[Path] = ()) -> Look:
    """The lost root by its newest records, of which ``folder`` gets a copy for whoever goes on.

    As :func:`newest_records`; those ``beneath`` change as they are certified again.
    """
    kept = folder / "recovery" / "lost"
    if not (kept / ROOT).exists():
        lost = newest_records(old, beneath)
        copy_records(lost.folder, kept, lost.own)
        replace_file(kept / ROOT, lost.own.pem, 0o644)
    return look_root(kept)


def newest_records(old: Path, beneath: Sequence[Path]) -> Look:
    """The root by the newest of its records in ``old`` and in the folders of CAs ``beneath``.

    A CA has the records of when it was told last.  Raises :class:`Refusal` ``ceremony-forked`` where two
    folders differ.
    """
    first = look_root(old)
    found = [first]
    for one in beneath:
        if read_root(one) == first.own:
            with suppress(Refusal):  # a buying organisation's CA has records of its own
                found.append(look_root(one))
    newest = max(found, key=lambda one: len(one.chain.records))
    for other in found:
        newest.chain.require_extends(other.chain)
    return newest


def rules_itself(folder: Path) -> bool:
    """Whether a buying organisation's CA is there: its manager adopts a newer certificate by herself.

    What it certified stays good, for its key and its name stay.
    """
    with suppress(Refusal):
        return look(folder).kind == "buying-ca"
    return False


def require_officer(lost: Look, officer: str) -> None:
    """Raise :class:`Refusal` ``not-authorised`` unless the lost root's last record gives a right at it."""
    if not any(right[0] == officer and right[2] == lost.component for right in lost.chain.newest.rights):
        raise Refusal("not-authorised", "the officer has no right at the lost root", officer=officer)


def sign_anchor(old: Root, new: Certificate) -> bytes:
    """The old root's word that ``new`` is the community's anchor from now on."""
    at = old.setting.clock.now()
    document = {
        "type": ANCHOR_TYPE,
        "community": old.community,
        "old": old.certificate.id,
        "new": wire.b64u(new.der),
        "at": format_instant(at),
    }
    return sign(wire.encode(document), oids.DATA, old.authority.signer, at)


def read_anchor(octets: bytes, old: Certificate) -> Certificate:
    """The new anchor, on the word of the old one; raises :class:`Refusal` ``bad-anchor``."""
    if len(octets) > _MAX_ANCHOR_BYTES:
        raise Refusal("bad-anchor", "the document is larger than may be read")
    signed = read_signed(octets)
    if signed.signer_certificate != old:
        raise Refusal("bad-anchor", "the known root did not sign it")
    check_signature(signed)
    document = wire.decode(signed.octets)
    if set(document) != _ANCHOR_MEMBERS or document["type"] != ANCHOR_TYPE or document["old"] != old.id:
        raise Refusal("bad-anchor", "the document names no new anchor in this one's place")
    if not isinstance(document["new"], str):
        raise Refusal("bad-anchor", "the document names no new anchor in this one's place")
    return Certificate.read(wire.unb64u(document["new"]))


def _new_root(wanted: Recovering, phrase: Phrase, setting: Setting) -> Root:
    """The new root, with the officers of the lost one."""
    lost = wanted.lost
    if (wanted.folder / ROOT).exists():
        return open_root(wanted.folder, phrase, setting=setting)
    note = f"in place of the lost root {lost.own.id}, whose record {lost.chain.newest.number} is "
    return found_root(
        wanted.folder,
        phrase,
        community=lost.chain.newest.community,
        rights=lost.chain.newest.rights,
        inherited=True,
        setting=setting,
        officer=wanted.officer,
        occasion=Occasion(present=wanted.occasion.present, note=f"{note}{lost.chain.head}"),
    )


def _for_manager(root: Root, branch: Branch, wanted: Recovering) -> None:
    """The newer certificate of a CA that the lost root itself certified, for its manager to adopt.

    One that a CA beneath the root certified is among what that CA certifies again.
    """
    seen = _of_lost(branch, wanted)
    if not seen.between:
        own = _certified_again(root, seen, seen.own, wanted)
        path = wanted.folder / "recovery" / f"for-{seen.component}.pem"
        replace_file(path, own.pem, 0o644)


def _certify_again(root: Root, branch: Branch, wanted: Recovering, setting: Setting) -> None:
    """Certify a CA's own key by the new root, and give its folder the new certificate, root and records."""
    key = open_folder_key(branch.folder, branch.secret)
    try:
        own = key.signer().certificate
        if not any(item.digest == own.id for item in root.chain.items("certificate")):
            own = _certified_again(root, _of_lost(branch, wanted), own, wanted)
            key.recertified(own, (), branch.secret, random=setting.random)
    finally:
        key.close()
    publish_own(branch.folder, (own,), root.certificate)
    records = branch.folder / CEREMONIES
    aside = branch.folder / f"{CEREMONIES}-of-lost-root"
    if records.exists() and not aside.exists():
        records.rename(aside)
    copy_records(root.folder, branch.folder, root.certificate)


def _of_lost(branch: Branch, wanted: Recovering) -> Look:
    """The CA as the lost root's records have it."""
    seen = look(branch.folder)
    if seen.root != wanted.lost.own or seen.own == wanted.lost.own:
        raise Misuse("not-of-this-root", "the lost root certified no such CA", folder=str(branch.folder))
    return seen


def _certified_again(root: Root, seen: Look, own: Certificate, wanted: Recovering) -> Certificate:
    with root.authority.database.reading() as connection:
        before = holdings.good_of_key(connection, own.spki, seen.kind, root.setting.clock.now())
    if before is not None and any(item.digest == before.id for item in root.chain.items("certificate")):
        return before
    with root.ceremony("recovering", officer=wanted.officer, present=wanted.occasion.present) as held:
        if before is not None:
            held.items.append(certified(before, seen.kind, seen.component))
            return before
        return root.issue(
            seen.kind,
            own.public_key,
            names_of(own),
            officer=wanted.officer,
            component=seen.component,
            subject=own.x509.subject,
            limits=limits_of(own),
        )


def _carry_out(branch: Branch, case: str, wanted: Recovering, setting: Setting, tell: Tell) -> list[Outcome]:
    """Certify again what the CA had certified."""
    seen = look(branch.folder)
    authority = open_ca(seen, branch.secret, setting=setting)
    try:
        path = wanted.folder / "recovery" / f"plan-{seen.component}.jsonl"
        plan = Plan.make(path, f"{case}\n{seen.component}", authority.database, setting.clock.now())
        return carry_out(
            plan,
            authority.database,
            authority,
            officer=wanted.officer,
            tell=lambda done, whole: tell(seen.component, done, whole),
        )
    finally:
        authority.close()


def _link(old: Root, new: Root, wanted: Recovering) -> None:
    """Both links (RFC 9810, 4.4), and the old root's word; each once."""
    if old.certificate != wanted.lost.own:
        raise Misuse("not-of-this-root", "this is not the root that is replaced")
    pairs = ((old, new.certificate, NEW_WITH_OLD), (new, old.certificate, OLD_WITH_NEW))
    for issuer, subject, name in pairs:
        link = _linked(issuer, subject, wanted)
        replace_file(wanted.folder / name, link.pem, 0o644)
    if not (wanted.folder / ANCHOR).exists():
        replace_file(wanted.folder / ANCHOR, sign_anchor(old, new.certificate), 0o644)


def _linked(issuer: Root, subject: Certificate, wanted: Recovering) -> Certificate:
    clock = issuer.setting.clock
    with issuer.authority.database.reading() as connection:
        before = holdings.good_of_key(connection, subject.spki, "root", clock.now())
    if before is not None and any(item.digest == before.id for item in issuer.chain.items("certificate")):
        return before
    wish = Wish(
        profile=profile("root"),
        names=(),
        public_key=subject.public_key,
        subject=subject.x509.subject,
        not_after=subject.not_after,
        limits=Limits(policies=(oids.ANY_POLICY,)),
    )
    with issuer.ceremony("recovering", officer=wanted.officer, present=wanted.occasion.present) as held:
        link = before or issuer.authority.issue_wish(wish, officer=wanted.officer)
        held.items.append(certified(link, "root", "link"))
    return link
