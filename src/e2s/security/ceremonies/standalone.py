"""A CA's folder says by itself what it is: the root's records in it name kind, component and officers.

A buying organisation rules its own CA: there the records are signed by the CA's own key.  No other CA may.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.ceremony_record import Chain, Item
from e2s.security.ceremonies.folder import (
    REGISTER,
    Setting,
    open_folder_key,
    read_chain,
    read_own,
    read_root,
)
from e2s.security.certificates.place_file import read_places
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import profiles_in
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import store
from e2s.security.pki.ca import Authority


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a CA's folder says before its key is opened."""

    folder: Path
    own: Certificate
    between: tuple[Certificate, ...]
    root: Certificate
    chain: Chain
    item: Item
    places: Places

    @property
    def kind(self) -> str:
        """The CA's profile."""
        return self.item.profile

    @property
    def component(self) -> str:
        """Its component name, in which its officers have rights."""
        return self.item.component

    @property
    def issuers(self) -> tuple[Certificate, ...]:
        """What goes along with a certificate of this CA, below the root."""
        return () if self.own == self.root else (self.own, *self.between)


def look(folder: Path) -> Look:
    """Read a CA's folder; raises :class:`Misuse` ``no-ca``, and what is wrong with its records."""
    own, *between = read_own(folder)
    root = read_root(folder)
    try:
        chain = read_chain(folder, root)
        item = chain.certified(own)
    except Refusal:
        if own == root or not _confined(own):
            raise
        chain = read_chain(folder, own)
        item = chain.certified(own)
    return Look(
        folder=folder,
        own=own,
        between=tuple(between),
        root=root,
        chain=chain,
        item=item,
        places=read_places(folder),
    )


def look_root(folder: Path) -> Look:
    """Read the root whose records a folder has, its own or a CA's beneath it; raises as :func:`look`."""
    root = read_root(folder)
    chain = read_chain(folder, root)
    return Look(
        folder=folder,
        own=root,
        between=(),
        root=root,
        chain=chain,
        item=chain.certified(root),
        places=read_places(folder),
    )


def is_founded(folder: Path) -> bool:
    """Whether there is a whole CA in the folder, records and all."""
    try:
        look(folder)
    except (Misuse, Refusal):
        return False
    return True


def open_ca(seen: Look, secret: Phrase, *, setting: Setting) -> Authority:
    """Open the CA that was looked at; raises ``wrong-pass-phrase``, ``wrong-pin`` or ``wrong-certificate``.

    A root is opened by :func:`~e2s.security.ceremonies.ceremony.open_root`.
    """
    if seen.kind == "root":
        raise Misuse("root-offline", "the root is opened for a ceremony only", folder=str(seen.folder))
    key = open_folder_key(seen.folder, secret)
    signer = key.signer()
    if signer.certificate != seen.own:
        key.close()
        raise Refusal("wrong-certificate", "the certificate in the folder is not that of its key")
    authority = Authority(
        signer,
        Database.open(seen.folder / REGISTER, store.TABLES),
        kind=seen.kind,
        component=seen.component,
        clock=setting.clock,
        random=setting.random,
        authoriser=seen.chain.authoriser(),
        places=seen.places,
        profiles=profiles_in(seen.folder),
    )
    authority.on_close = key.close
    return authority


def _confined(own: Certificate) -> bool:
    """Whether the certificate confines its CA to names of its own."""
    return x509.NameConstraints in own.values
