"""``e2s pki``: judge a certificate as every component does, and say why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
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


def _many(flag: str, said: str) -> object:
    return typer.Option(flag, metavar="FILE", help=said)


@app.callback()
def _group() -> None:
    """A group of its own, although it has one command so far."""


@app.command(
    epilog="Example: e2s pki verify --trust root.pem --untrusted ca.pem --crl root.crl --crl ca.crl"
    " --require-revocation --purpose tls-server --name shop.example shop.pem"
)
def verify(  # noqa: PLR0913, PLR0917 - each is an option of the command
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="The certificate, PEM or DER.")],
    trust: Annotated[list[Path] | None, _many("--trust", "A root that you trust (again for more).")] = None,
    untrusted: Annotated[
        list[Path] | None, _many("--untrusted", "Certificates that may stand between.")
    ] = None,
    crl: Annotated[list[Path] | None, _many("--crl", "A CRL, complete or delta.")] = None,
    ocsp: Annotated[list[Path] | None, _many("--ocsp", "An OCSP response, DER.")] = None,
    require_revocation: Annotated[
        bool, typer.Option("--require-revocation", help="Refuse what no CRL or OCSP response tells of.")
    ] = False,
    purpose: Annotated[Purpose, typer.Option("--purpose", help="What it is to be used for.")] = Purpose.any,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Host name, IP address or URI it must bear.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="RFC3339", help="Judge as of this instant; now by default.")
    ] = None,
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
    as_json: Annotated[bool, typer.Option("--json", help="Say it as a JSON object.")] = False,
) -> None:
    """Say whether a certificate may be trusted for a purpose, by which path, or which rule it breaks.

    Status 0 when accepted, 1 when refused.  Without a root nothing is trusted.  Rules are those of RFC 5280,
    section 6; each refusal names its clause.
    """
    found = files.certificates(certificate)
    verdict = Verifier(_all(trust)).judge(
        found[0],
        (*found[1:], *_all(untrusted)),
        [files.crl(path) for path in crl or ()],
        at=_instant(at) if at else SystemClock().now(),
        purpose=_USAGES[purpose],
        name=name,
        require_revocation=require_revocation,
        wanted=Wanted(
            policies=frozenset(policy or (ANY,)),
            explicit=explicit_policy,
            inhibit_any=inhibit_any,
            inhibit_mapping=inhibit_mapping,
        ),
        ocsp=[files.read(path) for path in ocsp or ()],
    )
    if as_json:
        print(json.dumps(_told(verdict), ensure_ascii=False))
    else:
        _say(verdict)
    raise typer.Exit(0 if verdict.accepted else 1)


def _all(paths: Sequence[Path] | None) -> tuple[Certificate, ...]:
    return tuple(one for path in paths or () for one in files.certificates(path))


def _instant(text: str) -> datetime:
    """An instant of RFC 3339, in any zone; raises :class:`Misuse` ``bad-instant``."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Misuse("bad-instant", "write the instant as 2026-03-02T09:00:00Z", given=text)
    return at


def _told(verdict: Verdict) -> dict[str, object]:
    """The verdict for a program."""
    return {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "path": [one.name or one.subject for one in verdict.path],
        "policies": sorted(verdict.policies),
    }


def _say(verdict: Verdict) -> None:
    """The verdict for a person."""
    if verdict.accepted:
        print("accepted: every check passed")
    else:
        culprit = verdict.culprit
        print(f"refused ({verdict.rule}): {verdict.reason}")
        if culprit is not None:
            print(f"at fault: {culprit.name or culprit.subject}")
    for depth, one in enumerate(verdict.path):
        print(f"{'path:' if not depth else '':5} {'  ' * depth}{one.name or one.subject}")
    if verdict.policies:
        print(f"valid for: {', '.join(sorted(verdict.policies))}")
