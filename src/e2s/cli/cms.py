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
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock, format_instant
from e2s.cli.streams import STANDARD, Progress, reading, reading_message, writing
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.cms import Signed, streaming
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.crypto.kinds import PrivateKey
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
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.pki.verdict import Verdict
from e2s.security.pki.verifier import Verifier

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Sign, verify, encrypt and decrypt CMS messages.",
    epilog="Example: e2s cms verify --trust root.pem --in order.cms --out order.pdf",
)

#: Of files that are kept whole: certificates, keys, lists.
_MAX_BYTES = 16 * 1024 * 1024

InFile = Annotated[Path, typer.Option("--in", metavar="FILE", help="The file to read; - for standard input.")]
OutFile = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="The file to write; - for standard output.")
]
CertFile = Annotated[Path, typer.Option("--cert", metavar="FILE", help="Your certificate, then its issuers.")]
KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key.")]
PhraseFile = Annotated[
    Path | None, typer.Option("--phrase-file", metavar="FILE", help="Holds the key's pass phrase.")
]
Pem = Annotated[bool, typer.Option("--pem", help="Write PEM instead of DER.")]
Only = Annotated[
    list[str] | None, typer.Option("--suite", metavar="NAME", help="Refuse a message by any other suite.")
]


@app.command(epilog="Example: e2s cms sign --cert me.pem --key me.key --in order.pdf --out order.cms")
def sign(
    cert: CertFile,
    key: KeyFile,
    source: InFile,
    out: OutFile,
    detached: Annotated[bool, typer.Option("--detached", help="Leave the content out.")] = False,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="One of your key's suites.")
    ] = None,
    phrase_file: PhraseFile = None,
    pem: Pem = False,
) -> None:
    """Sign a file; the message holds it, your certificate and its issuers."""
    own, *issuers = _certificates(cert)
    chosen = _signature_suite(own, suite) if suite else None
    signer = KeySigner(own, tuple(issuers), _key(key, phrase_file), suite=chosen)
    with Progress("signing") as progress, reading(source, out) as file, writing(out, pem=pem) as message:
        progress.expect(file)
        streaming.sign(file, message, oids.DATA, signer, _now(), detached=detached, told=progress.told)


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
    anchors, crls = _certificates(trust), tuple(map(_crl, crl or ()))
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
        verified = streaming.verify(message, written, content=given, told=progress.told)
        if suite and verified.suite not in suite:
            raise Refusal("wrong-suite", "the message is signed by another suite", found=verified.suite)
        verdict = _judge(verified.signed, anchors, crls)
    told = _told(verified, verdict, revocation="checked" if crl else "not checked")
    show = sys.stderr if out == STANDARD else sys.stdout
    if as_json:
        print(json.dumps(told, ensure_ascii=False), file=show)
    else:
        print(f"good: signed by {told['signer']} (serial {told['serial']})", file=show)
        print(f"time claimed: {told['at'] or 'none'}; revocation: {told['revocation']}", file=show)


def _judge(signed: Signed, anchors: Sequence[Certificate], crls: Sequence[bytes]) -> Verdict:
    """What the verifier says to the signer's certificate now; raises its :class:`Refusal`."""
    verdict = Verifier(tuple(anchors)).judge(
        signed.signer_certificate,
        signed.certificates,
        (*signed.crls, *crls),
        at=_now(),
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
    recipients = list(dict.fromkeys(_certificates(path)[0] for path in (*to, *(more or ()))))
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
    opener = KeyOpener(_certificates(cert)[0], _key(key, phrase_file))
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


def _told(verified: streaming.Verified, verdict: Verdict, *, revocation: str) -> dict[str, object]:
    """What verification found, for a program."""
    signed = verified.signed
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
        "detached": verified.detached,
        "bytes": verified.size,
        "suite": verified.suite,
        "path": [one.subject for one in verdict.path],
        "revocation": revocation,
    }


def _now() -> datetime:

    return SystemClock().now()


def _read(path: Path) -> bytes:
    """The file's octets; raises ``Misuse`` ``no-such-file``, ``Refusal`` ``too-large``."""
    try:
        with path.open("rb") as file:
            octets = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Misuse("no-such-file", "the file cannot be read", file=str(path), why=error.strerror) from error
    if len(octets) > _MAX_BYTES:
        raise Refusal("too-large", "the file is larger than may be read", file=str(path))
    return octets


def _certificates(path: Path) -> tuple[Certificate, ...]:

    found = read_certificates(_read(path))
    if not found:
        raise Refusal("bad-certificate", "the file holds no certificate", file=str(path))
    return found


def _key(path: Path, phrase_file: Path | None) -> PrivateKey:

    phrase = phrase_from_file(phrase_file).octets if phrase_file else None
    return read_private_key(_read(path), phrase)


def _crl(path: Path) -> bytes:
    """A CRL's DER."""
    octets = _read(path)
    try:
        if octets.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_crl(octets).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Refusal("bad-crl", "the file is no CRL", file=str(path)) from error
    return octets
