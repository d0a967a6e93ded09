"""What the commands of ``e2s admin`` share: how administration is opened in a home of registration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from e2s.cli.ra_home import At, DryRun, Json, Officer, PhraseFile, Yes, confirm, officer_of, opened
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.security.administration.desk import Desk
from e2s.security.administration.home import open_desk
from e2s.security.registration.home import ROOT, SETTINGS

__all__ = [
    "At",
    "DryRun",
    "Json",
    "Officer",
    "OfficerMaybe",
    "PhraseFile",
    "Yes",
    "confirm",
    "desk_in",
    "officer_of",
]

OfficerMaybe = Annotated[
    Path | None, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key.")
]


@contextlib.contextmanager
def desk_in(folder: Path) -> Iterator[Desk]:
    """Administration of the registration authority in ``folder``: alone, or a component of a community."""
    with opened(folder) as home:
        root, names = _surroundings(folder)
        desk = open_desk(home, folder, root, names=names)
        try:
            yield desk
        finally:
            desk.close()


def _surroundings(folder: Path) -> tuple[Certificate, frozenset[str]]:
    """The community's root, and the names that it founded without a case."""
    file = folder.absolute().parent.parent / "community.toml"
    if (folder / SETTINGS).exists() or not file.exists():
        return read_certificates((folder / ROOT).read_bytes())[0], frozenset()
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome

    community = load_community(file)
    components = community.components.values()
    names = {community.urn(one.party, one.person) for one in components}
    names |= {one.listen.host.strip("[]") for one in components}
    return CommunityHome.of_file(file).anchors()[0], frozenset(names)
