"""``e2s enrol request``: a key is made, its request sent to a door, and the certificate kept beside it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli import files
from e2s.cli.ca_home import Json, facts, file_name, instant, write_new
from e2s.cli.ca_issue import KeyOut, KeyPhraseFile, KeySuite, Out, request_of, sealed
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say
from e2s.crypto.pem import armoured
from e2s.network.sessions.client import HttpExchange
from e2s.security.certificates.certify import request as request_for
from e2s.security.enrolment.client import Enrolled, enrol
from e2s.security.enrolment.invitations import code_of, read_code
from e2s.security.keys.generation import generate


def request(  # noqa: PLR0913, PLR0917 - each is an option of the command
    origin: Annotated[str, typer.Argument(metavar="URL", help="Where the doors are: http://host:port.")],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="What you were invited as (again for more)."),
    ] = None,
    code_file: Annotated[
        Path | None, typer.Option("--code-file", metavar="FILE", help="Holds your code; else a prompt.")
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option("--request", metavar="FILE", help="A PKCS #10 request; without one a key is made."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="FILE", help="For https: whom the server is trusted by.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="Ask again for so long.")
    ] = 0.0,
    out: Out = None,
    key_out: KeyOut = None,
    key_phrase_file: KeyPhraseFile = None,
    suite: KeySuite = "p256-sha256",
    as_json: Json = False,
) -> None:
    """Enrol at a door: make a key, ask with your code, keep the certificate with its issuers.

    Writes NAME.key, NAME.p10 and NAME.pem. Where an officer has to agree first, or no answer came, the same
    command with --request NAME.p10 asks again; it is never certified twice.
    """
    if bool(name) == bool(given):
        raise Misuse("what-for", "say --name for a new key, or --request for a request that is there")
    stem = file_name(name[0]) if name else given.stem  # type: ignore[union-attr]  # one of them is there
    target = out or Path(f"{stem}.pem")
    if target.exists():
        raise Misuse("file-exists", "this file is there already: name another", file=str(target))
    phrase = phrase_of(code_file, "Code")
    code = code_of(*read_code(phrase.octets.decode("utf-8", "replace")))
    phrase.wipe()
    if given is None:
        key = generate(suite, secrets.token_bytes)
        octets = request_for(key, tuple(name or ()))
        key_file = key_out or target.with_suffix(".key")
        given = write_new(target.with_suffix(".p10"), armoured(octets, b"CERTIFICATE REQUEST"))
        write_new(key_file, sealed(key, key_phrase_file), private=True)
    exchange = HttpExchange(anchors=files.read(root) if root else b"")
    until = time.monotonic() + wait
    answer = enrol(exchange, origin, code, request_of(given))
    while not isinstance(answer, Enrolled) and time.monotonic() < until:
        time.sleep(min(answer.retry_seconds, max(0.1, until - time.monotonic())))
        answer = enrol(exchange, origin, code, request_of(given))
    if not isinstance(answer, Enrolled):
        if as_json:
            document({"state": "waiting", "request": str(given), "retry-seconds": answer.retry_seconds})
        else:
            say(f"an officer has to agree: ask again with --request {given}")
        raise typer.Exit(1)
    write_new(target, b"".join(one.pem for one in (answer.certificate, *answer.chain)))
    if as_json:
        document(facts(answer.certificate, file=str(target), request=str(given)))
        return
    say(f"serial       {answer.certificate.serial:x}")
    say(f"good until   {instant(answer.certificate.not_after)}")
    say(f"certificate  {target}")
