"""Administration lives in the registration authority's home, in a folder of its own.

::

    administration/settings.toml    where the CA's register is, how many officers change a policy
    administration/book.db          what reports are made from; it is made again when it is lost
    policy.toml, profiles.toml      the policies that are changed here, where they are no longer E2S's own
    data.db                         policies' versions and proposals, beside the register
"""

from __future__ import annotations

import json
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import read_signed
from e2s.security.administration import policies
from e2s.security.administration.book import Book, read_only
from e2s.security.administration.desk import Desk
from e2s.security.administration.officers import read_officers, written
from e2s.security.administration.subjects import Subject, by_name
from e2s.security.administration.tables import TABLES
from e2s.security.ceremonies.folder import REGISTER, Setting, read_chain
from e2s.security.ceremonies.standalone import look
from e2s.security.certificates.profiles import FILE as PROFILES_FILE
from e2s.security.certificates.profiles import PROFILES, read_profiles
from e2s.security.enrolment import policy as enrolment_policy
from e2s.security.enrolment.home import DATABASE as ENROLMENT
from e2s.security.enrolment.home import open_office as open_enrolment
from e2s.security.enrolment.office import Office as Enrolment
from e2s.security.escrow import store as escrow_store
from e2s.security.escrow.home import BOOK as ESCROW
from e2s.security.keys.durable import replace_file
from e2s.security.registration.home import BOOK as REGISTRATION
from e2s.security.registration.home import POLICY, Home
from e2s.security.registration.policy import read_policy

FOLDER: Final = "administration"
SETTINGS: Final = "settings.toml"
BOOK: Final = "book.db"
#: How many officers change a policy, where the settings do not say.
EYES: Final = 2
_MAX_BYTES: Final = 64 * 1024
_FOLDERS: Final = frozenset({"ca", "enrolment", "escrow"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``ca``, ``enrolment`` and ``escrow`` are folders, None where there is none; ``eyes`` by policy."""

    ca: Path | None = None
    enrolment: Path | None = None
    escrow: Path | None = None
    eyes: MappingProxyType[str, int] = field(default_factory=lambda: MappingProxyType({}))


def found(
    folder: Path,
    *,
    ca: Path | None,
    enrolment: Path | None = None,
    escrow: Path | None = None,
    eyes: int = EYES,
) -> Settings:
    """Set administration up in the registration authority's ``folder``; repeated, it changes the settings.

    ``enrolment`` is the CA's folder where nothing else is said.  Raises :class:`Misuse` ``no-register`` where
    ``ca`` holds none.
    """
    enrolment = enrolment or ca
    if ca is not None and not (ca / REGISTER).is_file():
        raise Misuse("no-register", "there is no CA's register here", folder=str(ca))
    lines = [f"eyes = {eyes}\n"]
    for name, path in (("ca", ca), ("enrolment", enrolment), ("escrow", escrow)):
        if path is not None:
            lines.append(f'{name} = "{_plain(path)}"\n')
    replace_file(folder / FOLDER / SETTINGS, "".join(lines).encode(), 0o644)
    return settings_in(folder)


def settings_in(folder: Path) -> Settings:
    """The settings of a registration authority's home; raises :class:`Misuse` ``bad-settings``."""
    path = folder / FOLDER / SETTINGS
    if not path.exists():
        return Settings()
    with path.open("rb") as file:
        octets = file.read(_MAX_BYTES)
    try:
        data: dict[str, Any] = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-settings", "the settings are not TOML", file=str(path)) from error
    eyes = data.pop("eyes", {})
    table = dict.fromkeys(("registration", "profiles", "enrolment", "officers"), eyes)
    if isinstance(eyes, dict):
        table = eyes
    good = all(isinstance(one, str) for one in data.values()) and set(data) <= _FOLDERS
    if not good or not all(number in {1, 2} for number in table.values()):
        raise Misuse("bad-settings", "settings are ca, enrolment, escrow, and eyes of 1 or 2", file=str(path))
    return Settings(
        **{name: Path(path) for name, path in data.items()},
        eyes=MappingProxyType(table),
    )


def open_desk(home: Home, folder: Path, root: Certificate, *, names: frozenset[str] = frozenset()) -> Desk:
    """Administration of the registration authority that is open in ``folder``.

    What was decided and not yet written is written.
    """
    settings = settings_in(folder)
    closing = ExitStack()
    database = Database.open(folder / REGISTRATION, TABLES)
    closing.callback(database.close)
    register = settings.ca / REGISTER if settings.ca is not None else None
    enrolment = _enrolment(settings, home)
    if enrolment is not None:
        closing.callback(enrolment.database.close)
    book = Book(folder / FOLDER / BOOK, register, home.office.database)
    closing.callback(book.close)
    desk = Desk(
        home=home,
        database=database,
        book=book,
        folder=folder,
        root=root,
        subjects=by_name(_subjects(home, folder, root, settings)),
        enrolment=enrolment,
        names=names,
        closing=closing,
    )
    policies.apply(desk)
    return desk


def _enrolment(settings: Settings, home: Home) -> Enrolment | None:
    """The office of enrolment beside the CA, where there is one: it decides, and certifies nothing."""
    folder = settings.enrolment
    if folder is None or not (folder / ENROLMENT).is_file():
        return None
    office = home.office
    setting = Setting(clock=office.clock, random=office.random)
    return open_enrolment(look(folder), setting=setting, officer="", trust=office.trust)


def _subjects(home: Home, folder: Path, root: Certificate, settings: Settings) -> list[Subject]:
    ca = home.office.ca

    def eyes(name: str) -> int:
        return settings.eyes.get(name, EYES)

    shipped = files("e2s.security.registration").joinpath("policy.toml").read_bytes()
    found_ones = [
        Subject(
            name="registration",
            title="Registration: evidence and confidence",
            file=POLICY,
            folders=(folder,),
            shipped=shipped,
            read=read_policy,
            eyes=eyes("registration"),
        ),
        Subject(
            name="profiles",
            title="Profiles of certificates, beside those of E2S",
            file=PROFILES_FILE,
            folders=(folder,) if settings.ca is None else (folder, settings.ca),
            shipped=b"",
            read=lambda octets: read_profiles(octets, PROFILES),
            eyes=eyes("profiles"),
        ),
        Subject(
            name=policies.OFFICERS,
            title="Officers and their rights",
            file="",
            folders=(),
            shipped=b"",
            read=lambda octets: read_officers(octets, ca),
            eyes=eyes(policies.OFFICERS),
            standing=lambda: written(read_chain(folder, root).newest.rights, ca),
            elsewhere="by a ceremony",
        ),
    ]
    if settings.enrolment is not None:
        shipped = files("e2s.security.enrolment").joinpath("policy.toml").read_bytes()
        found_ones.append(
            Subject(
                name="enrolment",
                title="Enrolment: who may ask for what, and how",
                file=enrolment_policy.FILE,
                folders=(settings.enrolment,),
                shipped=shipped,
                read=enrolment_policy.read_policy,
                eyes=eyes("enrolment"),
            )
        )
    if settings.escrow is not None:
        found_ones.append(_of_escrow(settings.escrow))
    return found_ones


def _of_escrow(folder: Path) -> Subject:
    """The policy of the escrow in a folder: shown here, signed there."""

    def standing() -> bytes:
        book = read_only(folder / ESCROW)
        try:
            with book.reading() as connection:
                agreed = [row.word for row in escrow_store.policies(connection) if row.agreed is not None]
        finally:
            book.close()
        if not agreed:
            return b""
        document = wire.decode(read_signed(agreed[-1]).octets)
        return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode()

    def closed(_octets: bytes) -> object:
        raise Refusal("changed-elsewhere", "officers of the escrow sign its policy: e2s escrow policy")

    return Subject(
        name="escrow",
        title="Escrow: who recovers what, by how many",
        file="",
        folders=(),
        shipped=b"",
        read=closed,
        standing=standing,
        elsewhere="signed by the escrow's officers",
    )


def _plain(path: Path) -> str:
    text = str(path.absolute())
    if not text.isprintable() or '"' in text or "\\" in text:
        raise Misuse("bad-settings", "a folder's path is plain text", path=text[:200])
    return text
