"""Enrolment beside a CA that stands alone: in the CA's folder, under the CA's own pass phrase.

::

    enrolment.sqlite   invitations, requests, and the event of each act
    enrolment.pse      the secret that invitations' secrets are sealed under, sealed by the pass phrase
    enrolment.toml     the policy, where it is not the one that comes with E2S
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.folder import REGISTER, ROOT_LIST, Setting
from e2s.security.ceremonies.standalone import Look
from e2s.security.certificates.makers import makers_in
from e2s.security.certificates.profiles import profiles_in
from e2s.security.enrolment import store
from e2s.security.enrolment.certifying import Ca
from e2s.security.enrolment.looking import SeenCa
from e2s.security.enrolment.office import Office
from e2s.security.enrolment.policy import policy_in
from e2s.security.enrolment.storage import SECRET_BYTES
from e2s.security.keys.container import production_cost, read, seal
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import list_store
from e2s.security.pki import store as pki_store
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

DATABASE: Final = "enrolment.sqlite"
STORAGE: Final = "enrolment.pse"
_SECTION: Final = "storage"


def component_of(seen: Look) -> str:
    """What enrolment beside this CA is called."""
    return f"{seen.component}-enrolment"


def storage_of(folder: Path, phrase: Phrase, setting: Setting) -> bytes:
    """The storage secret of the folder, made at first use; raises ``wrong-pass-phrase``."""
    path = folder / STORAGE
    if not path.exists():
        made = {_SECTION: setting.random(SECRET_BYTES)}
        octets = seal(made, phrase, cost=setting.cost or production_cost(), random=setting.random)
        aside = path.with_suffix(f".{setting.random(8).hex()}")
        replace_file(aside, octets)
        try:
            os.link(aside, path)  # whoever comes second finds what the first one made
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    container = read(path.read_bytes())
    return container.open(container.unlock(phrase), _SECTION)


def open_office(
    seen: Look,
    *,
    setting: Setting,
    officer: str,
    ca: Ca | None = None,
    trust: Trust | None = None,
    storage: bytes = b"",
) -> Office:
    """The office beside a CA; without ``ca`` it reads and decides, and certifies nothing.

    ``storage`` is needed to invite and to let anybody in.
    """
    if seen.kind == "root":
        raise Misuse("root-offline", "nobody enrols at a root", folder=str(seen.folder))
    return Office(
        component=component_of(seen),
        officer=officer,
        database=Database.open(seen.folder / DATABASE, store.TABLES),
        ca=ca or SeenCa(seen, profiles_in(seen.folder)),
        root=seen.root,
        trust=trust or Trust(Verifier((seen.root,)), KeptLists(seen.folder)),
        clock=setting.clock,
        random=setting.random,
        storage=storage,
        policy=policy_in(seen.folder),
        makers=makers_in(seen.folder),
    )


class KeptLists:
    """The lists of a CA as its register keeps them, and the root's: how fresh they are is not its word."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the CA's."""
        self._folder = folder

    def crls(self, *_certificates: Certificate) -> Sequence[bytes]:
        """Every list that stands."""
        found: list[bytes] = []
        database = Database.open(self._folder / REGISTER, pki_store.TABLES)
        try:
            with database.reading() as connection:
                for part in list_store.parts(connection):
                    for delta in (False, True):
                        row = list_store.newest(connection, part, delta=delta)
                        octets = None if row is None else list_store.octets(connection, row.id)
                        found += [octets] if octets else []
        finally:
            database.close()
        path = self._folder / ROOT_LIST
        return (*found, path.read_bytes()) if path.exists() else tuple(found)
