"""``e2s admin serve`` and ``console``: the JSON interface, and an officer's page on her own machine."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from e2s.base.errors import Misuse
from e2s.base.http import Handler
from e2s.cli.admin_home import At, Officer, desk_in
from e2s.cli.homes import LOOPBACK, serve_page
from e2s.cli.report import say
from e2s.crypto.ports import Signer
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from e2s.security.registration.home import OFFICER, PSE

Port = Annotated[int, typer.Option("--port", metavar="N", help="Port on 127.0.0.1; 0 takes a free one.")]


def serve(
    port: Port = 28580,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin", metavar="URL", help="Another origin by which officers reach it, by a tunnel (again)."
        ),
    ] = None,
    home: At = Path(),
) -> None:
    """Serve the JSON interface on loopback until it is stopped; /openapi.json describes it."""
    interface = _interface()
    from e2s.network.sessions.guarding import guarded
    from e2s.network.sessions.server import Mounted, Server, listen
    from e2s.security.administration.logins import Logins

    with desk_in(home) as desk:
        listening = listen(LOOPBACK, port)
        own = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        logins = Logins(desk, audience=own, random=secrets.token_bytes)
        app = cast("Any", interface.application(desk, logins))
        server = Server(Mounted(guarded(app, origins={own, *(origin or ())})), listening)
        server.run(ready=lambda: say(f"serving {own}"))


def console(
    officer: Officer,
    at: Annotated[
        str, typer.Option("--at", metavar="URL", help="Where the interface is (e2s admin serve).")
    ] = "http://127.0.0.1:28580",
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="Port of the page on 127.0.0.1; 0 takes a free one.")
    ] = 0,
) -> None:
    """Serve your page on this machine: what waits, certificates, reports, policies; your key signs here."""
    from e2s.network.sessions.client import HttpExchange
    from e2s.security.administration.console import Console
    from e2s.security.administration.remote import Remote

    @contextlib.contextmanager
    def opening(phrase: Phrase) -> Iterator[Signer]:
        try:
            pse = SoftwarePse.open(officer / PSE, phrase)
        finally:
            phrase.wipe()
        try:
            yield pse.signer(OFFICER)
        finally:
            pse.close()

    def make(at_port: int) -> tuple[Handler, str]:
        remote = Remote(HttpExchange(timeout_seconds=60), at.rstrip("/"))
        page = Console(remote, opening, port=at_port, random=secrets.token_bytes)
        return page.handle, page.start_path

    if not (officer / PSE).is_file():
        raise Misuse("no-pse", "there is no sealed file of an officer here", officer=str(officer))
    serve_page(make, port, say)


def _interface() -> Any:
    """The interface's module; raises :class:`Misuse` ``not-installed`` where Litestar is missing."""
    try:
        from e2s.security.administration import interface
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("litestar"):
            raise
        sentence = "the interface needs Litestar: install e2s with the extra administration"
        raise Misuse("not-installed", sentence, extra="administration") from error
    return interface
