"""What the commands of ``e2s directory`` share: options, and how a server and a CA's publisher are opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.base.outbox import Outbox
from e2s.security.ceremonies.folder import REGISTER, ROOT_LIST
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.directory import store
from e2s.security.directory.configuration import PUBLISHER
from e2s.security.directory.mirror import Mirror, Policy
from e2s.security.directory.names import Dn, read_suffix
from e2s.security.directory.publishing import Publisher
from e2s.security.directory.reading import naming_context
from e2s.security.directory.sending import Sender
from e2s.security.directory.server_file import Directory, directory_at, read_server
from e2s.security.directory.session import Session
from e2s.security.directory.tree import Tree
from e2s.security.pki import store as register_store
from e2s.security.pki.feed import Listed
from e2s.security.pki.reading import Register
from e2s.security.verification.crls import CrlIndex

CaFolder = Annotated[Path, typer.Argument(metavar="CA-DIR", help="The CA's folder; its key stays closed.")]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="WHERE", help="The directory: ldap://host:port, ldaps://, ldapi://, or its file."
    ),
]
In = Annotated[
    str,
    typer.Option(
        "--in", metavar="WHERE", help="The directory: ldap://host:port, ldaps://, ldapi://, or its file."
    ),
]
Suffix = Annotated[
    str, typer.Option("--suffix", metavar="DN", help="The top of its tree; the server's only one by default.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="Holds the password of uid=publisher of the tree."),
]
Trust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="FILE", help="The roots of the server's certificate, PEM, for TLS."),
]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="FILE", help="The publisher's database; in CA-DIR by default."),
]
KeepEnded = Annotated[
    int,
    typer.Option(
        "--keep-ended", metavar="DAYS", min=-1, help="Keep ended certificates so long; -1 for ever."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]

DATABASE = "directory.sqlite"


@dataclass(kw_only=True)
class Opened:
    """One CA and its directory, for one command."""

    publisher: Publisher
    mirror: Mirror
    sender: Sender
    session: Session
    seen: Look
    root_list: Path
    held: bytes = b""

    def put_root_list(self) -> None:
        """Take the root's list as it lies in the CA's folder, when it is another one."""
        octets = self.root_list.read_bytes() if self.root_list.exists() else b""
        if octets and octets != self.held and self.seen.own != self.seen.root:
            found = CrlIndex.read(octets)
            self.mirror.put_list(self.seen.root, Listed(None, False, found.number, octets))
            self.held = octets


def directory_of(
    where: str, suffix: str = "", password_file: Path | None = None, trust: Path | None = None
) -> Directory:
    """The directory meant by a URI, its tree looked up where none is said, or by a file that says it all.

    Raises :class:`Misuse` ``bad-server``, :class:`Refusal` ``which-suffix`` or ``bad-directory-file``.
    """
    if "://" not in where:
        if suffix or password_file or trust:
            raise Misuse("file-says-it", "the directory's file says the rest; leave the other options out")
        return read_server(Path(where))
    top = read_suffix(suffix) if suffix else _only_tree(where, trust)
    return directory_at(where, top, publisher=PUBLISHER, password_file=password_file, trust=trust)


def _only_tree(where: str, trust: Path | None) -> Dn:
    """The top of the server's only tree."""
    session = Session(directory_at(where, (), trust=trust).address)
    try:
        return read_suffix(naming_context(session))
    finally:
        session.close()


@contextlib.contextmanager
def opened(folder: Path, directory: Directory, *, state: Path | None, keep_ended: int) -> Iterator[Opened]:
    """The publisher of the CA in ``folder``, as :class:`Opened`."""
    seen = look(folder)
    clock = SystemClock()
    register, database = _register(folder), Database.open(state or folder / DATABASE, store.TABLES)
    session = Session(directory.address, directory.login)
    try:
        tree = Tree(suffix=directory.suffix, community=seen.chain.newest.community)
        outbox = Outbox(store.OUTBOX)
        mirror = Mirror(
            Register(register),
            seen.own,
            (*seen.between, seen.root),
            tree=tree,
            database=database,
            outbox=outbox,
            clock=clock,
            policy=Policy(keep_ended=None if keep_ended < 0 else timedelta(days=keep_ended)),
        )
        sender = Sender(session, tree, authorities=mirror.authorities, entries=mirror.entries)
        publisher = Publisher(mirror, sender, outbox=outbox, clock=clock, component=seen.component)
        found = Opened(
            publisher=publisher,
            mirror=mirror,
            sender=sender,
            session=session,
            seen=seen,
            root_list=folder / ROOT_LIST,
        )
        found.put_root_list()
        yield found
    finally:
        session.close()
        database.close()
        register.close()


def _register(folder: Path) -> Database:
    path = folder / REGISTER
    if not path.exists():
        raise Misuse("no-register", "this CA has no register yet", folder=str(folder))
    return Database.open(path, register_store.TABLES)


@contextlib.contextmanager
def local(folder: Path, state: Path | None) -> Iterator[tuple[Database, Register]]:
    """The publisher's database and the CA's register, without any server; raises ``never-published``."""
    path = state or folder / DATABASE
    if not path.exists():
        raise Misuse("never-published", "this CA was never published in a directory", state=str(path))
    register, database = _register(folder), Database.open(path, store.TABLES)
    try:
        yield database, Register(register)
    finally:
        database.close()
        register.close()
