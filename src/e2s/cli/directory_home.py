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
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock
from e2s.base.outbox import Outbox
from e2s.crypto.certificates import Certificate
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

CaFolders = Annotated[
    list[Path],
    typer.Argument(metavar="CA-DIR...", help="The folder of each CA of the tree; their keys stay closed."),
]
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
    typer.Option("--state", metavar="FILE", help="The publisher's database; in the first CA-DIR by default."),
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
    """The CAs of a tree and their directory, for one command."""

    publisher: Publisher
    mirrors: tuple[Mirror, ...]
    sender: Sender
    session: Session
    seen: tuple[Look, ...]

    def put_root_lists(self) -> None:
        """Take the root's list as it lies in each CA's folder; the newest stays."""
        for look_at, mirror in zip(self.seen, self.mirrors, strict=True):
            path = look_at.folder / ROOT_LIST
            octets = path.read_bytes() if path.exists() else b""
            if octets and look_at.own != look_at.root:
                found = CrlIndex.read(octets)
                try:
                    mirror.put_list(look_at.root, Listed(None, False, found.number, octets))
                except Refusal as refusal:
                    if refusal.rule != "old-crl":
                        raise


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
def opened(
    folders: list[Path], directory: Directory, *, state: Path | None, keep_ended: int
) -> Iterator[Opened]:
    """The publisher of the CAs in ``folders``; raises :class:`Misuse` ``other-community``."""
    seen = tuple(look(folder) for folder in folders)
    if len({one.chain.newest.community for one in seen}) > 1:
        raise Misuse("other-community", "the CAs of one tree are of one community")
    clock, outbox = SystemClock(), Outbox(store.OUTBOX)
    tree = Tree(suffix=directory.suffix, community=seen[0].chain.newest.community)
    policy = Policy(keep_ended=None if keep_ended < 0 else timedelta(days=keep_ended))
    with contextlib.ExitStack() as closing:
        registers = [_register(one.folder, closing) for one in seen]
        database = Database.open(state or folders[0] / DATABASE, store.TABLES)
        closing.callback(database.close)
        session = Session(directory.address, directory.login)
        closing.callback(session.close)
        mirrors = tuple(
            Mirror(
                Register(register),
                one.own,
                (*one.between, one.root),
                tree=tree,
                database=database,
                outbox=outbox,
                clock=clock,
                policy=policy,
            )
            for one, register in zip(seen, registers, strict=True)
        )
        authorities = tuple(dict.fromkeys(each for one in mirrors for each in one.authorities))
        sender = Sender(session, tree, authorities=authorities, entries=mirrors[0].entries)
        component = seen[0].component
        publisher = Publisher(mirrors, sender, outbox=outbox, clock=clock, component=component)
        found = Opened(publisher=publisher, mirrors=mirrors, sender=sender, session=session, seen=seen)
        found.put_root_lists()
        yield found


@contextlib.contextmanager
def local(
    folders: list[Path], state: Path | None
) -> Iterator[tuple[Database, list[tuple[Certificate, Register]]]]:
    """The publisher's database and the CAs with their registers, without any server.

    Raises :class:`Misuse` ``never-published``.
    """
    path = state or folders[0] / DATABASE
    if not path.exists():
        raise Misuse("never-published", "this CA was never published in a directory", state=str(path))
    with contextlib.ExitStack() as closing:
        registers = [(look(one).own, Register(_register(one, closing))) for one in folders]
        database = Database.open(path, store.TABLES)
        closing.callback(database.close)
        yield database, registers


def _register(folder: Path, closing: contextlib.ExitStack) -> Database:
    path = folder / REGISTER
    if not path.exists():
        raise Misuse("no-register", "this CA has no register yet", folder=str(folder))
    database = Database.open(path, register_store.TABLES)
    closing.callback(database.close)
    return database
