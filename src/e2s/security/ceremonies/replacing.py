"""A CA whose key is lost or suspected is revoked by the root, and another one certifies all that was valid.

What is to be done stands in the new CA's folder before anything is done.  Whoever was killed calls again with
the same folders and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.instants import format_instant
from e2s.security.ceremonies.ceremony import found_authority
from e2s.security.ceremonies.folder import KEY, OWN, REGISTER, ROOT, Setting
from e2s.security.ceremonies.occasion import Occasion
from e2s.security.ceremonies.recovery import Outcome, Plan, carry_out, write_report
from e2s.security.ceremonies.root import Root
from e2s.security.ceremonies.standalone import Look, is_founded, look, open_ca
from e2s.security.certificates.place_file import read_places, write_places
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import store
from e2s.security.pki.ca import Authority

#: What is under way, what is to be certified again, and what became of it, in the new CA's folder.
CASE: Final = "recovery/case"
PLAN: Final = "recovery/plan.jsonl"
REPORT: Final = "recovery/report.jsonl"
_CASE_BYTES: Final = 16


@dataclass(frozen=True, kw_only=True)
class Replacing:
    """Which CA is replaced by that in which folder, why, by whom, and on what occasion."""

    old: Look
    folder: Path
    reason: str
    officer: str
    occasion: Occasion


def replace_authority(
    root: Root, wanted: Replacing, phrase: Phrase, *, setting: Setting, tell: Callable[[int, int], None]
) -> list[Outcome]:
    """Revoke the old CA, found the new one, and certify again by it; ``tell`` hears how far it is.

    One ceremony revokes, certifies and signs the list.  Raises :class:`Misuse` ``not-of-this-root``,
    ``other-recovery`` where the folder is of another one.
    """
    old = wanted.old
    if old.root != root.certificate or old.kind == "root":
        raise Misuse("not-of-this-root", "this root certified no such CA", ca=old.component)
    case = begin(wanted.folder, old.own.id, setting)
    authority = _new_authority(root, wanted, phrase, setting)
    source = Database.open(old.folder / REGISTER, store.TABLES)
    try:
        plan = Plan.make(wanted.folder / PLAN, case, source, setting.clock.now())
        outcomes = carry_out(plan, source, authority, officer=wanted.officer, tell=tell)
    finally:
        source.close()
        authority.close()
    write_report(wanted.folder / REPORT, outcomes)
    return outcomes


def begin(folder: Path, lost: str, setting: Setting) -> str:
    """The name of the recovery that ``folder`` is for; a new one where none is under way.

    Raises :class:`Misuse` ``other-recovery`` where it is for another CA than ``lost``.
    """
    path = folder / CASE
    if path.exists():
        known = wire.decode(path.read_bytes())
        if known.get("lost") != lost or not isinstance(known.get("case"), str):
            raise Misuse("other-recovery", "another recovery is under way in this folder", folder=str(folder))
        return str(known["case"])
    if any((folder / file).exists() for file in (KEY, OWN, REGISTER, ROOT)):
        raise Misuse("ca-exists", "there already is a CA in this folder", folder=str(folder))
    case = wire.b64u(setting.random(_CASE_BYTES))
    known = {"case": case, "lost": lost, "begun": format_instant(setting.clock.now())}
    replace_file(path, wire.encode(known), 0o644)
    return case


def _new_authority(root: Root, wanted: Replacing, phrase: Phrase, setting: Setting) -> Authority:
    """The ceremony, or what is left of it; then the new CA, open."""
    old, folder = wanted.old, wanted.folder
    if is_founded(folder):
        return open_ca(look(folder), phrase, setting=setting)
    write_places(folder, read_places(old.folder))
    return found_authority(
        root,
        folder,
        phrase,
        kind=old.kind,
        name=old.own.name,
        component=old.component,
        officer=wanted.officer,
        authoriser=None,
        setting=setting,
        occasion=replace(wanted.occasion, list_too=True, lost=old.own, reason=wanted.reason),
    )
