"""``e2s pki attributes``: what attribute certificates give to their holder (RFC 5755), judged and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.cli import files
from e2s.cli.pki_words import At, Json, Lists, Trusted, Untrusted, all_of, instant, lists_of, said, shown
from e2s.crypto.certificates import Certificate
from e2s.security.verification.attribute_certificates import AttributeCertificate, judge, withdrawn
from e2s.security.verification.verifier import Verifier


def attributes(
    certificate: Annotated[
        Path, typer.Argument(metavar="CERT", help="The holder's certificate, PEM or DER.")
    ],
    given: Annotated[list[Path], typer.Argument(metavar="AC...", help="Attribute certificates, DER.")],
    giver: Annotated[
        Path, typer.Option("--giver", metavar="FILE", help="Whom you let give attributes: the certificate.")
    ],
    trust: Trusted = None,
    untrusted: Untrusted = None,
    crl: Lists = None,
    target: Annotated[
        str, typer.Option("--for", metavar="URI", help="Where the attributes are to be used.")
    ] = "",
    at: At = None,
    as_json: Json = False,
) -> None:
    """Say what attribute certificates give to the holder of a certificate, or which rule they break.

    Holder and giver are each judged first, with their revocation where lists are given.  Status 0 when all
    are accepted, 1 when any is refused.  Rules are those of RFC 5755, section 5.
    """
    when = instant(at)
    told: list[dict[str, object]] = []
    rule, reason = "", ""
    notes: list[str] = []
    try:
        lists = lists_of(crl, notes)
        holder, *between = files.certificates(certificate)
        source, *above = files.certificates(giver)
        verifier = Verifier(all_of(trust, notes))
        others = (*between, *above, *all_of(untrusted, notes))
        for who in (holder, source):
            verifier.judge(
                who,
                others,
                lists,
                at=when,
                purpose=None,
                name=None,
                require_revocation=bool(crl),
            ).or_refuse()
        told = [_judged(path, holder, source, lists, when, target) for path in given]
    except Refusal as refusal:
        rule, reason = refusal.rule, refusal.message
    refused = next((one for one in told if not one["accepted"]), None)
    if refused is not None:
        rule, reason = str(refused["rule"]), str(refused["reason"])
    whole = {"accepted": not rule, "reason": reason or "every check passed", "rule": rule, "attributes": told}
    lines = [*_lines(rule, reason, told), *(f"note: {note}" for note in notes)]
    said(whole | ({"notes": notes} if notes else {}), lines, as_json=as_json)
    raise typer.Exit(1 if rule else 0)


def _judged(
    path: Path, holder: Certificate, giver: Certificate, lists: Sequence[bytes], at: datetime, target: str
) -> dict[str, object]:
    """The verdict about one attribute certificate."""
    try:
        found = AttributeCertificate.read(files.read(path))
        judge(found, holder, giver, at=at, target=target, revoked=withdrawn(lists, giver, at=at))
        roles = [role for role in found.roles if role]
    except Refusal as refusal:
        return {"file": str(path), "accepted": False, "reason": refusal.message, "rule": refusal.rule}
    return {
        "file": str(path),
        "accepted": True,
        "reason": "every check passed",
        "rule": "",
        "roles": roles,
        "attributes": [kind for kind, _ in found.attributes],
        "until": format_instant(found.not_after),
    }


def _lines(rule: str, reason: str, told: Sequence[dict[str, object]]) -> Iterator[str]:
    """The verdicts for a person."""
    if rule and not told:
        yield f"refused ({rule}): {reason}"
    for one in told:
        if not one["accepted"]:
            yield f"refused ({one['rule']}): {one['file']}: {one['reason']}"
            continue
        yield f"accepted: {one['file']}, until {one['until']}"
        for role in one["roles"]:  # type: ignore[attr-defined]  # a list, as made above
            yield f"  role {shown(role)}"
