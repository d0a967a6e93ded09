"""The loss of a root is rehearsed in a folder of its own, with keys made for it, and nothing real changes.

It proves that every pass phrase opens its key, that every register can be read, and that all that is valid
can be certified again; and it says how long that takes.  What it makes is good for nothing: its root is
trusted by nobody.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from e2s.base.database import Database
from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.base.wire import b64u
from e2s.security.ceremonies.ceremony import found_authority, found_root
from e2s.security.ceremonies.folder import REGISTER, Setting, open_folder_key
from e2s.security.ceremonies.occasion import Occasion
from e2s.security.ceremonies.recovery import Outcome, Plan, carry_out, write_report
from e2s.security.ceremonies.replacing import REPORT
from e2s.security.ceremonies.root import Root
from e2s.security.ceremonies.root_recovery import Branch, Tell, require_officer, rules_itself
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.keys.key_place import InSealedFile
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import store

_TRIES: Final = 5
_PHRASE_BYTES: Final = 24


@dataclass(frozen=True)
class Rehearsed:
    """What could be certified again, and of which CAs the key does not open, with the rule."""

    outcomes: list[Outcome]
    closed: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether everything went well."""
        return not self.closed and all(one.new for one in self.outcomes)


def rehearse(
    lost: Look, scratch: Path, branches: tuple[Branch, ...], *, officer: str, setting: Setting, tell: Tell
) -> Rehearsed:
    """Rehearse the loss of the root in ``scratch``, which is new; ``tell`` hears how far each CA is.

    Raises :class:`Misuse` ``scratch-used`` where the folder is not empty, or is one of the real ones.
    """
    require_officer(lost, officer)
    real = [lost.folder, *(branch.folder for branch in branches)]
    if any(_within(scratch, folder) for folder in real) or (scratch.exists() and any(scratch.iterdir())):
        raise Misuse("scratch-used", "rehearse in an empty folder apart", folder=str(scratch))
    phrase = Phrase(b64u(setting.random(_PHRASE_BYTES)))
    own = Setting(
        clock=setting.clock,
        random=setting.random,
        suite=setting.suite,
        cost=setting.cost,
        where=InSealedFile(),
        software=setting.software,
    )
    root = found_root(
        scratch / "root",
        phrase,
        community=lost.chain.newest.community,
        rights=lost.chain.newest.rights,
        inherited=True,
        setting=own,
        officer=officer,
        occasion=Occasion(note="a rehearsal: trusted by nobody"),
    )
    outcomes: list[Outcome] = []
    closed: dict[str, str] = {}
    try:
        for branch in branches:
            seen = look(branch.folder)
            rule = _closed(seen, branch.secret)
            if rule:
                closed[seen.component] = rule
            if not rules_itself(branch.folder):
                outcomes += _branch(root, seen, scratch, phrase, officer, own, tell)
    finally:
        root.close()
    write_report(scratch / REPORT, outcomes)
    return Rehearsed(outcomes, closed)


def copied_register(folder: Path, target: Path) -> Path:
    """A copy of a register that nobody writes to meanwhile; raises :class:`Refusal` ``register-busy``.

    Opening the register itself would leave files beside it.
    """
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = (REGISTER, f"{REGISTER}-wal")
    for _ in range(_TRIES):
        before = _states(folder, names)
        for name in names:
            (target / name).unlink(missing_ok=True)
            if (folder / name).exists():
                shutil.copyfile(folder / name, target / name)
        if _states(folder, names) == before:
            return target / REGISTER
    raise Refusal("register-busy", "the register changes while it is copied", folder=str(folder))


def _states(folder: Path, names: tuple[str, ...]) -> list[tuple[int, int] | None]:
    stats = [(folder / name).stat() if (folder / name).exists() else None for name in names]
    return [None if one is None else (one.st_size, one.st_mtime_ns) for one in stats]


def _within(path: Path, folder: Path) -> bool:
    """Whether one of the two lies in the other."""
    one, other = path.resolve(), folder.resolve()
    return one == other or one in other.parents or other in one.parents


def _closed(seen: Look, secret: Phrase) -> str:
    """Why the CA's real key does not open, or is another's; the empty string where it does."""
    try:
        key = open_folder_key(seen.folder, secret)
    except E2SError as error:
        return error.rule
    own = key.signer().certificate
    key.close()
    return "" if own == seen.own else "wrong-certificate"


def _branch(
    root: Root, seen: Look, scratch: Path, phrase: Phrase, officer: str, setting: Setting, tell: Tell
) -> list[Outcome]:
    """One CA with a key of its own in the scratch folder, and all of it certified again."""
    folder = scratch / seen.component
    authority = found_authority(
        root,
        folder,
        phrase,
        kind=seen.kind,
        name=seen.own.name,
        component=seen.component,
        officer=officer,
        authoriser=None,
        setting=setting,
    )
    source = Database.open(copied_register(seen.folder, folder / "real"), store.TABLES)
    told: Callable[[int, int], None] = lambda done, whole: tell(seen.component, done, whole)  # noqa: E731
    try:
        plan = Plan.make(folder / "recovery" / "plan.jsonl", "rehearsal", source, setting.clock.now())
        return carry_out(plan, source, authority, officer=officer, tell=told)
    finally:
        source.close()
        authority.close()
