"""``e2s tsa init``, ``install``, ``serve``, ``reply``, ``record``: an authority of your own in a folder."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import PreciseClock, SystemClock, format_instant
from e2s.cli import files
from e2s.cli.homes import LOOPBACK, phrase_of
from e2s.cli.pki_words import Json, said
from e2s.cli.report import document, say
from e2s.cli.tsa_ask import Out, oid_of, put
from e2s.crypto import stamps
from e2s.crypto.pem import armoured
from e2s.security.keys.durable import replace_file

if TYPE_CHECKING:
    from e2s.base.database import Database
    from e2s.security.timestamping.authority import StampAuthority

Home = Annotated[Path, typer.Option("--home", metavar="DIR", help="The authority's folder.")]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="Holds the pass phrase, or the token's PIN."),
]
Module = Annotated[
    Path | None, typer.Option("--module", metavar="FILE", help="The PKCS #11 module of a token for the key.")
]
Token = Annotated[str, typer.Option("--token", metavar="LABEL", help="The token's label.")]
KeyLabel = Annotated[str, typer.Option("--key-label", metavar="LABEL", help="The key's label in the token.")]
_REQUEST = "tsa.p10"


def init(  # noqa: PLR0913, PLR0917 - each is an option of the command
    home: Home,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The authority's name, a URN.")],
    suite: Annotated[
        str, typer.Option("--suite", metavar="SUITE", help="Of its key (e2s suites).")
    ] = "p256-sha256",
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="OID", help="A policy it dates under; the first by default."),
    ] = None,
    accuracy: Annotated[
        int, typer.Option("--accuracy", metavar="MS", min=1, help="How right its clock is, in ms.")
    ] = 1000,
    ordering: Annotated[
        bool, typer.Option("--ordering", help="Any two stamps are in the order of their times.")
    ] = False,
    named: Annotated[bool, typer.Option("--named", help="Each stamp names the authority.")] = False,
    need_synchronised: Annotated[
        bool,
        typer.Option("--synchronised", help="Date nothing while the kernel's clock is not synchronised."),
    ] = False,
    module: Module = None,
    token: Token = "",
    key_label: KeyLabel = "tsa",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Make an authority's key, in a sealed file or a token, and a request for its certificate.

    Have the request certified (``e2s ca issue CA --profile tsa --name NAME --request DIR/tsa.p10``), then
    install the certificate.  A second call gives the same request again.
    """
    from e2s.cli.ca_founding import where_of
    from e2s.cli.ca_home import new_phrase
    from e2s.crypto.suites import signature_suite
    from e2s.security.certificates.certify import request
    from e2s.security.keys.where import make_key
    from e2s.security.timestamping.authority import POLICY, Dating
    from e2s.security.timestamping.home import LABEL, write_dating
    from e2s.security.timestamping.synchronised import synchronised

    signature_suite(suite)
    dating = Dating(
        policies=tuple(oid_of(one) for one in policy or [POLICY]),
        accuracy=timedelta(milliseconds=accuracy),
        ordering=ordering,
        named=named,
        sound=synchronised if need_synchronised else None,
    )
    where = where_of(module, token, key_label)
    phrase = new_phrase(phrase_file, "the authority") if module is None else phrase_of(phrase_file, "PIN")
    key = make_key(home, where, phrase, suite, label=LABEL, random=secrets.token_bytes)
    try:
        octets = request(key.key, (name,))
    finally:
        key.close()
    write_dating(home, dating)
    target = home / _REQUEST
    replace_file(target, armoured(octets, b"CERTIFICATE REQUEST"), 0o644)
    said({"request": str(target), "name": name}, [f"request      {target}"], as_json=as_json)


def install(
    certificate: Annotated[
        Path, typer.Argument(metavar="CERT", help="The certificate, then those up to below the root.")
    ],
    home: Home,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Put the authority's certificate into its folder; from then on it can date."""
    from e2s.security.timestamping.home import certified, read_dating

    own, *chain = files.certificates(certificate)
    read_dating(home)
    chain = [one for one in chain if one.subject != one.issuer]
    certified(home, phrase_of(phrase_file), own, chain, random=secrets.token_bytes)
    end = format_instant(own.not_after)
    lines = [f"authority    {own.name or own.subject}", f"good until   {end}"]
    said({"name": own.name, "not-after": end}, lines, as_json=as_json)


def serve(
    home: Home,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", metavar="N", help="The port; 0 takes a free one.")] = 0,
    believe_clock: Annotated[
        bool,
        typer.Option("--believe-clock", help="Date again though the clock was ahead and was set right."),
    ] = False,
    phrase_file: PhraseFile = None,
) -> None:
    """Answer time-stamp requests over HTTP until SIGTERM; each address as often as is allowed."""
    from e2s.network.sessions.server import Server, listen
    from e2s.security.repository.door import limited
    from e2s.security.timestamping.authority import forget_newest

    if believe_clock:
        database = _record(home)
        forget_newest(database)
        database.close()
    with _opened(home, phrase_file) as stamping:
        listening = listen(host, port)
        server = Server(limited(stamping.handle, SystemClock()), listening, tick=stamping.tick)
        server.run(ready=lambda: say(f"dating at http://{host}:{server.port}/"))


def reply(
    query: Annotated[Path, typer.Argument(metavar="QUERY", help="A time-stamp request.")],
    home: Home,
    out: Out = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Answer one request off-line, to QUERY.tsr by default; status 1 when it is rejected."""
    octets = files.read(query)
    target = out or query.with_suffix(".tsr")
    with _opened(home, phrase_file) as stamping:
        answer = stamping.answer(octets)
    put(target, answer)
    stamps.read_response(answer)
    if target != Path("-"):
        said({"reply": str(target)}, [f"reply        {target}"], as_json=as_json)


def record(home: Home, as_json: Json = False) -> None:
    """Show what the authority has on record: each stamp given, and how often what was refused."""
    from e2s.base.outbox import Outbox
    from e2s.security.timestamping import authority

    database = _record(home)
    try:
        with database.reading() as connection:
            for _number, body in Outbox(authority.OUTBOX).waiting(connection, "audit", most=1_000_000):
                event = json.loads(body)
                if as_json:
                    document(event)
                else:
                    facts = " ".join(f"{name}={value}" for name, value in event["facts"].items())
                    say(f"{event['at']}  {event['kind']}  {facts}")
    finally:
        database.close()


@contextlib.contextmanager
def _opened(home: Path, phrase_file: Path | None) -> Iterator[StampAuthority]:
    """The authority in a folder, for one command."""
    from e2s.security.timestamping.home import open_home, read_dating

    read_dating(home)
    phrase = phrase_of(phrase_file, "Pass phrase or PIN of the authority")
    stamping, close = open_home(home, phrase, clock=PreciseClock(), random=secrets.token_bytes)
    phrase.wipe()
    try:
        yield stamping
    finally:
        close()


def _record(home: Path) -> Database:
    from e2s.base.database import Database
    from e2s.security.timestamping import authority
    from e2s.security.timestamping.home import RECORD, read_dating

    read_dating(home)
    if not (home / RECORD).exists():
        raise Misuse("no-record", "the authority has dated nothing yet", folder=str(home))
    return Database.open(home / RECORD, authority.TABLES)
