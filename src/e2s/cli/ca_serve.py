"""``e2s ca export``, ``serve``, ``answer``: what a CA gives to others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.instants import SystemClock
from e2s.cli.ca_home import Folder, Json, Officer, PhraseFile, officer_of, opened, opened_root, setting
from e2s.cli.ca_withdraw import list_stem
from e2s.cli.homes import LOOPBACK
from e2s.cli.report import document, say
from e2s.security.ceremonies.folder import ROOT_LIST
from e2s.security.ceremonies.serving import OCSP_PATH, Serving
from e2s.security.ceremonies.serving import export as export_files
from e2s.security.ceremonies.standalone import Look, look
from e2s.security.keys.durable import replace_file
from e2s.security.pki import holdings
from e2s.security.pki.ca import Authority
from e2s.security.pki.feed import Listed
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier


def export(
    folder: Folder,
    target: Annotated[Path, typer.Argument(metavar="TO", help="The folder that a web server serves.")],
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Write certificates and newest lists as static files, at the paths that certificates name."""
    seen = look(folder)
    if seen.kind == "root":
        with opened_root(folder, phrase_file) as root:
            lists: tuple[Listed, ...] = (Listed(None, False, 0, root.current_crl()),)
            number = _exported(seen, root.authority, lists, target)
    else:
        with opened(folder, phrase_file) as (_, authority):
            lists = authority.current_lists()
            number = _exported(seen, authority, lists, target)
    if as_json:
        document({"certificates": number, "lists": len(lists), "folder": str(target)})
    else:
        say(f"{number} certificates and {len(lists)} lists in {target}")


def serve(
    folder: Folder,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="On which port.")] = 0,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
) -> None:
    """Serve certificates, lists, look-up and OCSP on loopback until SIGTERM.

    The CA is open meanwhile, so that lists and answers never run out.  A proxy takes it further: what --base
    and --ocsp of e2s ca create named is to lead here.
    """
    from e2s.network.sessions.server import Server, listen

    with opened(folder, phrase_file) as (seen, authority):
        serving = Serving(seen, authority, officer=officer_of(seen, officer), setting=setting())
        listening = listen(LOOPBACK, port)
        server = Server(serving.handle, listening, tick=serving.tick, quick=serving.quick)

        def ready() -> None:
            say(f"serving http://{LOOPBACK}:{server.port} and OCSP at {OCSP_PATH}")

        try:
            server.run(ready=ready)
        finally:
            serving.close()


def answer(
    folder: Folder,
    spool: Annotated[Path, typer.Argument(metavar="SPOOL", help="The folder shared with registration.")],
    once: Annotated[bool, typer.Option("--once", help="Answer what is there, then end.")] = False,
    phrase_file: PhraseFile = None,
) -> None:
    """Answer the orders that registration puts into a folder, and leave the newest lists there.

    Each order is judged by its officers' signatures and their rights in the ceremony's record.
    """
    from e2s.community.authority import OwnLists
    from e2s.security.pki.approvals import Judge
    from e2s.security.pki.service import doors
    from e2s.security.pki.spool import answer_spool

    with opened(folder, phrase_file) as (seen, authority):
        trust = Trust(Verifier((seen.root,)), OwnLists(authority, folder / ROOT_LIST))
        community = seen.chain.newest.community
        judge = Judge(
            trust=trust,
            authoriser=authority.authoriser,
            community=community,
            ca=seen.component,
            alone=authority.profile.confined,
        )
        known: dict[str, bytes] = {}
        stop = threading.Event()
        while True:
            done = answer_spool(spool, doors(authority, judge))
            _lists(authority, seen, spool / "lists", known)
            if done:
                say(f"{done} answered")
            if once or stop.wait(1):
                return


def _lists(authority: Authority, seen: Look, target: Path, known: dict[str, bytes]) -> None:
    """The newest lists, each in a file of its own, where they changed."""
    for one in authority.current_lists():
        name = f"{list_stem(seen, one.shard, delta=one.delta)}.crl"
        if known.get(name) != one.der:
            replace_file(target / name, one.der, 0o644)
            known[name] = one.der


def _exported(seen: Look, authority: Authority, lists: tuple[Listed, ...], target: Path) -> int:
    with authority.database.reading() as connection:
        every = [one.certificate for one in holdings.holdings(connection, SystemClock().now())]
    return export_files(seen, lists, every, target)
