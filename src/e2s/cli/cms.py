"""``e2s cms``: sign, verify, encrypt and decrypt files, with E2S's own CMS and that of others.

Certificates and keys are PEM files (a certificate file may go on with its issuers), messages DER or PEM, of
others BER too.  Files of any size are streamed, and an output file appears only when all of it is good.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.cli import cms_messages, files
from e2s.cli.options import CertFile, InFile, KeyFile, OutFile, Pem, PhraseFile, key_of, now, signer_of
from e2s.cli.streams import STANDARD, Progress, reading, reading_message, writing
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import ReceiptRequest, Signed, streaming
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.crypto.suites import (
    OLD_SEALINGS,
    SealingSuite,
    SignatureSuite,
    sealing_suite,
    sealing_suites_of,
    signature_suite,
    signature_suites_of,
)
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Sign, verify, encrypt and decrypt CMS messages.",
    epilog="Example: e2s cms verify --trust root.pem --in order.cms --out order.pdf",
)

Only = Annotated[
    list[str] | None, typer.Option("--suite", metavar="NAME", help="Refuse a message by any other suite.")
]


@app.command(epilog="Example: e2s cms sign --cert me.pem --key me.key --in order.pdf --out order.cms")
def sign(  # noqa: PLR0913, PLR0917 - each is an option of the command
    cert: CertFile,
    key: KeyFile,
    source: InFile,
    out: OutFile,
    detached: Annotated[bool, typer.Option("--detached", help="Leave the content out.")] = False,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="One of your key's suites.")
    ] = None,
    beside_cert: Annotated[
        list[Path] | None,
        typer.Option("--beside-cert", metavar="FILE", help="Of a further key that signs side by side."),
    ] = None,
    beside_key: Annotated[
        list[Path] | None, typer.Option("--beside-key", metavar="FILE", help="The further private key.")
    ] = None,
    ask_receipt: Annotated[
        str | None,
        typer.Option("--ask-receipt", metavar="ADDRESS", help="Where signed receipts are to be sent."),
    ] = None,
    phrase_file: PhraseFile = None,
    pem: Pem = False,
) -> None:
    """Sign a file; the message holds it, your certificate and its issuers.

    A document that must last may be signed by two keys of different kinds side by side, each signature
    naming the other (RFC 5752): give the second by --beside-cert and --beside-key.
    """
    chosen = _signature_suite(files.certificates(cert)[0], suite) if suite else None
    signer = signer_of(cert, key, phrase_file, chosen)
    attributes = () if ask_receipt is None else (_request(ask_receipt),)
    if beside_cert or beside_key:
        others = _beside(beside_cert or (), beside_key or (), phrase_file)
        if attributes:
            raise Misuse("cms-parallel", "signatures side by side ask for no receipt")
        with reading(source, out) as file:
            content = files.whole(file, source)
        octets = cms.sign_parallel(content, oids.DATA, [signer, *others], now(), detached=detached)
        with writing(out, pem=pem) as written:
            written.write(octets)
        return
    with Progress("signing") as progress, reading(source, out) as file, writing(out, pem=pem) as message:
        progress.expect(file)
        streaming.sign(
            file,
            message,
            oids.DATA,
            signer,
            now(),
            detached=detached,
            signed_attributes=attributes,
            told=progress.told,
        )


@app.command(epilog="Example: e2s cms verify --trust root.pem --in order.cms --out order.pdf")
def verify(
    trust: Annotated[Path, typer.Option("--trust", metavar="FILE", help="The roots that you trust.")],
    source: InFile,
    content: Annotated[
        Path | None, typer.Option("--content", metavar="FILE", help="The content of a detached signature.")
    ] = None,
    crl: Annotated[
        list[Path] | None,
        typer.Option(
            "--crl", metavar="FILE", help="A CRL, DER or PEM; given once, revocation must be known."
        ),
    ] = None,
    suite: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as a JSON object.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the verified content here; - for standard output."),
    ] = None,
) -> None:
    """Prove who signed a message; certificates are judged as of now."""
    anchors, crls = files.certificates(trust), tuple(map(files.crl, crl or ()))
    for name in suite or ():
        signature_suite(name)
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress("verifying"))
        message = stack.enter_context(reading_message(source, out))
        given = stack.enter_context(reading(content, out)) if content else None
        written = stack.enter_context(writing(out)) if out else None
        for file in (message, given):
            if file is not None:
                progress.expect(file)
        try:
            verified = streaming.verify(message, written, content=given, told=progress.told)
        except Refusal as refusal:
            if refusal.rule != "cms-one-signer":
                raise
            told = _verify_beside(message, written, given, anchors, crls, suite or ())
            _say(told, as_json=as_json, show=sys.stderr if out == STANDARD else sys.stdout)
            return
        if suite and verified.suite not in suite:
            raise Refusal("wrong-suite", "the message is signed by another suite", found=verified.suite)
        verdict = _judge(verified.signed, anchors, crls)
        told = _told(
            verified.signed, verdict, size=verified.size, suite=verified.suite, detached=verified.detached
        )
    told["revocation"] = "checked" if crl else "not checked"
    _say(told, as_json=as_json, show=sys.stderr if out == STANDARD else sys.stdout)


def _verify_beside(
    message: BinaryIO,
    out: BinaryIO | None,
    given: BinaryIO | None,
    anchors: Sequence[Certificate],
    crls: Sequence[bytes],
    suites: Sequence[str],
) -> dict[str, object]:
    """The same of a message with signatures side by side: all are there, and all are good."""
    message.seek(0)
    signers = cms.read_signers(cms.normalised(message.read(files.MAX_BYTES)), cms.FOREIGN)
    content = given.read(files.MAX_BYTES) if given is not None else None
    cms.check_parallel(signers, content)
    found = [_told_of(signed, _judge(signed, anchors, crls), content, suites) for signed in signers]
    if out is not None:
        out.write(signers[0].octets if content is None else content)
    first, *others = found
    return {
        **first,
        "revocation": "checked" if crls else "not checked",
        "beside": [
            {key: other[key] for key in ("signer", "serial", "certificate", "suite")} for other in others
        ],
    }


def _told_of(
    signed: Signed, verdict: Verdict, content: bytes | None, suites: Sequence[str]
) -> dict[str, object]:
    """What verification found of one of several signers."""
    known = streaming.signature_name(signed)
    if suites and known not in suites:
        raise Refusal("wrong-suite", "the message is signed by another suite too", found=known)
    size = len(signed.octets if content is None else content)
    return _told(signed, verdict, size=size, suite=known, detached=content is not None)


def _say(told: dict[str, Any], *, as_json: bool, show: TextIO) -> None:
    """What was found, to a person or a program."""
    if as_json:
        print(json.dumps(told, ensure_ascii=False), file=show)
        return
    print(f"good: signed by {told['signer']} (serial {told['serial']})", file=show)
    for other in told.get("beside", ()):
        print(f"side by side with {other['signer']} (serial {other['serial']})", file=show)
    print(f"time claimed: {told['at'] or 'none'}; revocation: {told['revocation']}", file=show)


def _judge(signed: Signed, anchors: Sequence[Certificate], crls: Sequence[bytes]) -> Verdict:
    """What the verifier says to the signer's certificate now; raises its :class:`Refusal`."""
    verdict = Verifier(tuple(anchors)).judge(
        signed.signer_certificate,
        signed.certificates,
        (*signed.crls, *crls),
        at=now(),
        purpose=None,
        name=None,
        require_revocation=bool(crls),
    )
    return verdict.or_refuse()


@app.command(epilog="Example: e2s cms encrypt --to anna.pem --to bert.pem --in order.pdf --out order.enc")
def encrypt(
    to: Annotated[list[Path], typer.Option("--to", metavar="CERT", help="A recipient's certificate.")],
    source: InFile,
    out: OutFile,
    more: Annotated[list[Path] | None, typer.Argument(metavar="CERT...", help="More recipients.")] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="NAME", help="How; given again for recipients with other keys."),
    ] = None,
    legacy: Annotated[bool, typer.Option("--legacy", help="All the suites for old peers (AES-CBC).")] = False,
    pem: Pem = False,
) -> None:
    """Encrypt a file so that exactly the recipients can read it (AES-256-GCM)."""
    recipients = list(dict.fromkeys(files.certificates(path)[0] for path in (*to, *(more or ()))))
    suites = _sealing_suites(recipients, [*(suite or ()), *(OLD_SEALINGS if legacy else ())])
    with Progress("encrypting") as progress, reading(source, out) as file, writing(out, pem=pem) as message:
        progress.expect(file)
        streaming.seal(
            file, message, oids.DATA, recipients, secrets.token_bytes, suites=suites, told=progress.told
        )


@app.command(epilog="Example: e2s cms decrypt --cert me.pem --key me.key --in order.enc --out order.pdf")
def decrypt(
    cert: CertFile,
    key: KeyFile,
    source: InFile,
    out: OutFile,
    phrase_file: PhraseFile = None,
    suite: Only = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse older forms, which authenticate nothing.")
    ] = False,
) -> None:
    """Decrypt a file that was encrypted to your certificate; the output is readable by you alone."""
    opener = KeyOpener(files.certificates(cert)[0], key_of(key, phrase_file))
    for name in suite or ():
        sealing_suite(name)
    with (
        Progress("decrypting") as progress,
        reading_message(source, out) as message,
        writing(out, private=True) as content,
    ):
        progress.expect(message)
        opened = streaming.open_sealed(
            message, content, opener, allow_legacy=not strict, suites=suite or (), told=progress.told
        )
    if not opened.authenticated:
        print("note: this older form does not show whether the content was altered", file=sys.stderr)


def _signature_suite(certificate: Certificate, name: str) -> SignatureSuite:
    """The suite called ``name``; raises :class:`Misuse` ``suite-unknown`` or ``wrong-suite``."""
    found = signature_suite(name)
    own = signature_suites_of(certificate.public_key)
    if found not in own:
        raise Misuse("wrong-suite", f"your key signs by {_listed(own)}, not by {name}")
    return found


def _sealing_suites(recipients: Sequence[Certificate], names: Sequence[str]) -> Sequence[str]:
    """``names``; raises :class:`Misuse` where one is unknown or a recipient's key has none of them."""
    wanted = [sealing_suite(name) for name in names]
    for one in recipients if wanted else ():
        own = sealing_suites_of(one.public_key)
        if not set(own) & set(wanted):
            who = one.name or one.subject
            raise Misuse("wrong-suite", f"to the key of {who} one seals by {_listed(own)}", recipient=one.id)
    return names


def _listed(suites: Sequence[SignatureSuite] | Sequence[SealingSuite]) -> str:
    return " or ".join(suite.name for suite in suites) or "no suite"


def _told(
    signed: Signed, verdict: Verdict, *, size: int, suite: str | None, detached: bool
) -> dict[str, object]:
    """What verification found, for a program."""
    certificate = signed.signer_certificate
    return {
        "outcome": "good",
        "signer": certificate.name or certificate.subject,
        "subject": certificate.subject,
        "names": list(certificate.names),
        "serial": f"{certificate.serial:x}",
        "certificate": certificate.id,
        "at": format_instant(signed.said.signing_time) if signed.said.signing_time else None,
        "contentType": signed.content_type,
        "detached": detached,
        "bytes": size,
        "suite": suite,
        "path": [one.subject for one in verdict.path],
        "revocation": "not checked",
    }


def _beside(certs: Sequence[Path], keys: Sequence[Path], phrase_file: Path | None) -> list[KeySigner]:
    """The further signers, a certificate and a key each; raises :class:`Misuse` ``cms-parallel``."""
    if len(certs) != len(keys):
        raise Misuse("cms-parallel", "give --beside-key for each --beside-cert")
    return [signer_of(cert, key, phrase_file) for cert, key in zip(certs, keys, strict=True)]


def _request(address: str) -> bytes:
    """The attribute that asks all who get the message for a receipt (RFC 2634, 2.2)."""
    return cms.request_attribute(ReceiptRequest(secrets.token_bytes(16), ((address,),)))


cms_messages.add_to(app)
