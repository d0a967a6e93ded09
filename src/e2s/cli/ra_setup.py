"""``e2s ra init`` and ``officer``: a registration authority's home, and the keys of those who work there."""

from __future__ import annotations

import secrets
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.ca_home import new_phrase
from e2s.cli.homes import phrase_of
from e2s.cli.ra_home import At, Json, PhraseFile, opened
from e2s.cli.report import document, say
from e2s.crypto.certificates import serial_number
from e2s.crypto.pem import armoured
from e2s.security.certificates.certify import Wish, certify_root, request
from e2s.security.certificates.profiles import profile
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.registration.home import OFFICER, PSE, found_home, update_home
from e2s.security.registration.ordering import submit
from e2s.security.registration.withdrawing import send_withdrawals

REQUEST = "request.pem"
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")]


def init(
    folder: Folder,
    ca: Annotated[Path, typer.Option("--from", metavar="DIR", help="The CA's folder; no key of it is read.")],
    spool: Annotated[
        Path | None, typer.Option("--spool", metavar="DIR", help="A folder through which the CA is reached.")
    ] = None,
    origin: Annotated[str, typer.Option("--origin", metavar="URL", help="Or where the CA's link is.")] = "",
    link: Annotated[
        Path | None, typer.Option("--link-key", metavar="FILE", help="And the key of that link.")
    ] = None,
    component: Annotated[
        str, typer.Option("--component", metavar="NAME", help="Its own name.")
    ] = "registration",
    update: Annotated[
        bool, typer.Option("--update", help="Of a home that is there: take newer records of ceremonies.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the home of a registration authority for a CA: its settings, register, and whom it believes."""
    if update:
        records = update_home(folder, ca)
        if as_json:
            document({"home": folder, "records": records})
        else:
            say(f"{folder}: {records} ceremonies on record")
        return
    settings = found_home(folder, ca, component=component, spool=spool, origin=origin, link=link)
    if as_json:
        document({"home": folder, **settings})
        return
    say(f"{folder}: registers for {settings['ca']} of {settings['community']}")
    if spool is not None:
        say(f"the CA answers with: e2s ca answer {ca} {spool}")


def officer(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Your own folder.")],
    name: Annotated[str, typer.Option("--name", metavar="URN", help="Your name, for a new key.")] = "",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="Your certificate, then its issuers.")
    ] = None,
    suite: Annotated[str, typer.Option("--suite", metavar="SUITE", help="Of the new key.")] = "p256-sha256",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Make an officer's key and the request for its certificate, or put the certificate in."""
    if bool(name) == (certificate is not None):
        raise Misuse("what-for", "--name makes a key, --certificate takes its certificate: say one")
    if certificate is not None:
        own, *chain = files.certificates(certificate)
        phrase = phrase_of(phrase_file, "Your pass phrase")
        pse = SoftwarePse.open(folder / PSE, phrase)
        pse.set_certificate(OFFICER, own, tuple(chain), phrase, random=secrets.token_bytes)
        pse.close()
        phrase.wipe()
        if as_json:
            document({"officer": own.name, "until": own.not_after.isoformat()})
        else:
            say(f"{own.name} may sign until {own.not_after:%Y-%m-%d}")
        return
    phrase = new_phrase(phrase_file, name)
    key = generate(suite, secrets.token_bytes)
    wish = Wish(profile=profile(OFFICER), names=(name,), public_key=key.public_key())
    # Nobody believes it: it holds the place until the CA's certificate comes.
    standing = certify_root(wish, key, serial=serial_number(secrets.token_bytes), at=SystemClock().now())
    entries = {OFFICER: Entry(private_key=key, certificate=standing)}
    SoftwarePse.create(folder / PSE, phrase, entries, random=secrets.token_bytes).close()
    phrase.wipe()
    replace_file(folder / REQUEST, armoured(request(key, (name,)), b"CERTIFICATE REQUEST"), 0o644)
    if as_json:
        document({"officer": name, "request": folder / REQUEST})
    else:
        say(f"{folder / REQUEST} asks for the certificate of {name}")


def serve(
    home: At = Path(),
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Once, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Send what is approved to the CA, and again what has no answer, until SIGTERM."""
    stop = threading.Event()
    if not once:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    with opened(home) as ra:
        if not once and not as_json:
            say(f"{ra.office.component} serves {ra.office.ca}")
        while True:
            sent = submit(ra.office, ra.ask)
            withdrawn = send_withdrawals(ra.office, ra.ask)
            if once or sent.certified or sent.declined or withdrawn.done or withdrawn.declined:
                told = {"certified": sent.certified, "declined": sent.declined, "waiting": sent.waiting}
                told |= {"withdrawals": withdrawn.done, "withdrawals waiting": withdrawn.waiting}
                if as_json:
                    document(told)
                else:
                    say(
                        ", ".join(f"{number} {what}" for what, number in told.items() if number)
                        or "nothing waits"
                    )
            if once or stop.wait(every):
                return
