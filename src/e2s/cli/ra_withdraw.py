"""``e2s ra withdraw``, ``hold`` and ``release``: certificates are taken back for a signed word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import parse_instant
from e2s.cli.options import signer_of
from e2s.cli.ra_home import (
    At,
    DryRun,
    Json,
    PhraseFile,
    Yes,
    case_meant,
    certificate_meant,
    confirm,
    officer_of,
    opened,
)
from e2s.cli.report import document, say
from e2s.crypto.ports import Signer
from e2s.security.registration import acts
from e2s.security.registration.home import Home
from e2s.security.registration.withdrawing import send_withdrawals, take_withdrawal, withdrawal_document

OfficerMaybe = Annotated[
    Path | None, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key.")
]
Which = Annotated[
    str, typer.Argument(metavar="WHICH", help="A case, a serial in hexadecimal, or a certificate's file.")
]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Instead of an officer: the holder's own private key."),
]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is asked, by whom."""

    which: str
    act: str
    reason: str = ""
    since: datetime | None = None
    officer: Path | None
    key: Path | None = None
    phrase_file: Path | None


def withdraw(  # noqa: PLR0913, PLR0917 - each is an option of the command
    which: Which,
    officer: OfficerMaybe = None,
    home: At = Path(),
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="REASON", help="Why: keyCompromise, superseded... (RFC 5280, 5.3.1)."
        ),
    ] = "",
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="Why a case without one is withdrawn.")
    ] = "",
    invalidity: Annotated[
        str, typer.Option("--invalidity", metavar="RFC3339", help="Since when the key may be lost.")
    ] = "",
    key: Key = None,
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Revoke a certificate for good, or withdraw a case that has none yet."""
    if bool(reason) == bool(why):
        raise Misuse("what-for", "a certificate is revoked for a --reason, a case withdrawn because of --why")
    if reason:
        since = parse_instant(invalidity) if invalidity else None
        asked = _Asked(
            which=which,
            act="revoke",
            reason=reason,
            since=since,
            officer=officer,
            key=key,
            phrase_file=phrase_file,
        )
        _withdrawal(asked, home, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    if officer is None:
        raise Misuse("what-for", "a case is withdrawn by an officer: --officer DIR")
    with opened(home) as ra, officer_of(officer, phrase_file) as signer:
        which = case_meant(ra.office, which)
        said = acts.withdraw_document(ra.office, signer.certificate.name, which, why)
        if not dry_run:
            confirm(f"Withdraw {which}?", yes=yes)
            answer = acts.take(ra.office, acts.signed(said, signer))
        else:
            answer = {"case": which, "state": "would be withdrawn"}
    if as_json:
        document(answer)
    else:
        say(f"{answer['case']}  {answer['state']}")


def hold(
    which: Which,
    officer: OfficerMaybe = None,
    home: At = Path(),
    key: Key = None,
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Have a certificate suspended until it is released or revoked."""
    asked = _Asked(which=which, act="hold", officer=officer, key=key, phrase_file=phrase_file)
    _withdrawal(asked, home, yes=yes, dry_run=dry_run, as_json=as_json)


def release(
    which: Which,
    officer: Annotated[
        Path, typer.Option("--officer", metavar="DIR", help="Your own folder, with your key.")
    ],
    home: At = Path(),
    phrase_file: PhraseFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Have a certificate that was held released."""
    asked = _Asked(which=which, act="release", officer=officer, phrase_file=phrase_file)
    _withdrawal(asked, home, yes=yes, dry_run=dry_run, as_json=as_json)


def _withdrawal(asked: _Asked, home: Path, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Sign, keep and send one withdrawal."""
    if (asked.officer is None) == (asked.key is None):
        raise Misuse("what-for", "an officer (--officer DIR) or the holder (--key FILE) signs: say one")
    with opened(home) as ra:
        serial, holder = certificate_meant(ra.office, asked.which)
        told = f"{asked.act} {serial:x} of {holder or 'a holder who is not registered here'}"
        if dry_run:
            answer: dict[str, Any] = {"serial": f"{serial:x}", "act": asked.act, "state": "would be asked"}
        else:
            confirm(f"{told.capitalize()}?", yes=yes)
            if asked.officer is not None:
                with officer_of(asked.officer, asked.phrase_file) as signer:
                    answer = _withdrawn(ra, signer, serial, asked)
            else:
                own = signer_of(Path(asked.which), asked.key or Path(), asked.phrase_file)
                answer = _withdrawn(ra, own, serial, asked)
    if as_json:
        document(answer)
    else:
        say(f"{told}: {answer['state']}")


def _withdrawn(ra: Home, signer: Signer, serial: int, asked: _Asked) -> dict[str, Any]:
    said = withdrawal_document(
        ra.office, signer.certificate.name, serial, asked.act, asked.reason, invalidity=asked.since
    )
    octets = acts.signed(said, signer)
    take_withdrawal(ra.office, octets)
    send_withdrawals(ra.office, ra.ask)
    answer = take_withdrawal(ra.office, octets)
    if answer["state"] == "declined":
        raise Refusal(answer["rule"], "the CA refused", serial=answer["serial"], act=asked.act)
    return answer
