"""``e2s pki``: judge a certificate as every component does, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Refusal
from e2s.cli import files, pki_attributes, pki_find
from e2s.cli.pki_words import (
    At,
    Json,
    Lists,
    Trusted,
    Untrusted,
    all_of,
    answers_of,
    instant,
    lists_of,
    said,
    shown,
)
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.verification.anchors import Anchor
from e2s.security.verification.notices import Notice
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Judge certificates: path, revocation, policies, purpose and name.",
    epilog="Example: e2s pki verify --trust root.pem --crl root.crl --purpose tls-server shop.pem",
)


class Purpose(StrEnum):
    """What a certificate is to be used for."""

    any = "any"
    tls_server = "tls-server"
    tls_client = "tls-client"
    email = "email"
    code = "code"
    ocsp = "ocsp"
    timestamp = "timestamp"


_USAGES = {
    Purpose.any: None,
    Purpose.tls_server: oids.EKU_SERVER,
    Purpose.tls_client: oids.EKU_CLIENT,
    Purpose.email: oids.EKU_EMAIL,
    Purpose.code: oids.EKU_CODE,
    Purpose.ocsp: oids.EKU_OCSP,
    Purpose.timestamp: oids.EKU_TIME_STAMPING,
}


@app.callback()
def _group() -> None:
    """Judge certificates: path, revocation, policies, purpose and name."""


@app.command(
    epilog="Example: e2s pki verify --trust root.pem --untrusted ca.pem --crl root.crl --crl ca.crl"
    " --require-revocation --purpose tls-server --name shop.example shop.pem"
)
def verify(  # noqa: PLR0913, PLR0917 - each is an option of the command
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="The certificate, PEM or DER.")],
    trust: Trusted = None,
    untrusted: Untrusted = None,
    crl: Lists = None,
    ocsp: Annotated[
        list[Path] | None, typer.Option("--ocsp", metavar="FILE", help="An OCSP response, DER.")
    ] = None,
    require_revocation: Annotated[
        bool, typer.Option("--require-revocation", help="Refuse what no CRL or OCSP response tells of.")
    ] = False,
    purpose: Annotated[Purpose, typer.Option("--purpose", help="What it is to be used for.")] = Purpose.any,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Host name, IP address or URI it must bear.")
    ] = None,
    at: At = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="OID", help="An acceptable policy; any by default."),
    ] = None,
    explicit_policy: Annotated[
        bool, typer.Option("--explicit-policy", help="Require an acceptable policy.")
    ] = False,
    inhibit_any: Annotated[
        bool, typer.Option("--inhibit-any", help="Let no certificate assert just any policy.")
    ] = False,
    inhibit_mapping: Annotated[
        bool, typer.Option("--inhibit-mapping", help="Follow no mapping of policies.")
    ] = False,
    external: Annotated[
        Path | None,
        typer.Option("--external", metavar="FILE", help="Whom else --trust trusts (e2s external export)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether a certificate may be trusted for a purpose, by which path, or which rule it breaks.

    Status 0 when accepted, 1 when refused.  Without a root nothing is trusted.  Rules are those of RFC 5280,
    section 6; each refusal names its clause.  Without a purpose old paths are judged too, whose DSA keys may
    sign nothing new; a note says so.
    """
    when = instant(at)
    # Only who asks for no purpose asks about the past: for each use the strict rules hold (SP 800-131A)
    legacy = purpose is Purpose.any
    notes: list[str] = []
    try:
        found = files.certificates(certificate, legacy=legacy)
        anchors = all_of(trust, notes, legacy=legacy)
        verdict = Verifier((*anchors, *_others(external, anchors)), legacy=legacy).judge(
            found[0],
            (*found[1:], *all_of(untrusted, notes, legacy=legacy)),
            lists_of(crl, notes),
            at=when,
            purpose=_USAGES[purpose],
            name=name,
            require_revocation=require_revocation,
            wanted=Wanted(
                policies=frozenset(policy or (ANY,)),
                explicit=explicit_policy,
                inhibit_any=inhibit_any,
                inhibit_mapping=inhibit_mapping,
            ),
            ocsp=answers_of(ocsp, notes),
        )
    except Refusal as refusal:
        verdict = Verdict(accepted=False, rule=refusal.rule, reason=refusal.message)
    verdict = replace(verdict, notes=(*verdict.notes, *notes))
    said(_told(verdict), _lines(verdict), as_json=as_json)
    raise typer.Exit(0 if verdict.accepted else 1)


def _others(file: Path | None, anchors: Sequence[Certificate]) -> tuple[Anchor, ...]:
    """The roots of others that a file's records trust, proven under the first anchor."""
    if file is None:
        return ()
    if not anchors:
        raise Refusal("unknown-root", "records of trust in others are proven by a root: --trust")
    from e2s.cli.external_home import state_in

    return state_in(file, anchors[0]).anchors()


def _told(verdict: Verdict) -> dict[str, object]:
    """The verdict for a program; ``notices`` and ``notes`` only where there are any."""
    told: dict[str, object] = {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "path": [one.name or one.subject for one in verdict.path],
        "policies": sorted(verdict.policies),
    }
    if verdict.notices:
        told["notices"] = [_notice(one) for one in verdict.notices]
    if verdict.notes:
        told["notes"] = list(verdict.notes)
    return told


def _notice(notice: Notice) -> dict[str, object]:
    """A notice for a program: what it has."""
    members: dict[str, object] = {name: value for name, value in notice._asdict().items() if value}
    return members


def _lines(verdict: Verdict) -> list[str]:
    """The verdict for a person."""
    if verdict.accepted:
        lines = ["accepted: every check passed"]
    else:
        lines = [f"refused ({verdict.rule}): {verdict.reason}"]
        if verdict.culprit is not None:
            lines.append(f"at fault: {_who(verdict.culprit)}")
    for depth, one in enumerate(verdict.path):
        lines.append(f"{'path:' if not depth else '':5} {'  ' * depth}{_who(one)}")
    if verdict.policies:
        lines.append(f"valid for: {', '.join(sorted(verdict.policies))}")
    for notice in verdict.notices:
        numbers = ", ".join(map(str, notice.numbers))
        reference = f"{notice.organisation} {numbers}".strip()
        words = notice.text or notice.statement
        lines.append(
            f"notice ({notice.policy}): {shown(' '.join(part for part in (words, reference) if part))}"
        )
    lines.extend(f"note: {note}" for note in verdict.notes)
    return lines


def _who(certificate: Certificate) -> str:
    return shown(certificate.name or certificate.subject)


app.command(
    "find",
    epilog="Example: e2s pki find http://127.0.0.1:8080 name=anna --out anna.pem",
)(pki_find.find)

app.command(
    "attributes",
    epilog="Example: e2s pki attributes --trust root.pem --untrusted ca.pem --giver giver.pem --crl root.crl"
    " --crl ca.crl --for urn:e2s:market:shop holder.pem buyer-role.ac",
)(pki_attributes.attributes)
