"""``e2s cms``: sign, verify, encrypt and decrypt files, with E2S's own CMS and that of others.

Certificates and keys are PEM files (a certificate file may go on with its issuers), messages DER or PEM.
An output file appears only when all of it is good.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import SystemClock, format_instant
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import KeyOpener
from e2s.crypto.pem import armoured, unarmoured
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.pki.verdict import Verdict
from e2s.security.pki.verifier import Verifier

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Sign, verify, encrypt and decrypt CMS messages.",
    epilog="Example: e2s cms verify --trust root.pem --in order.cms --out order.pdf",
)

_MAX_BYTES = 256 * 1024 * 1024

InFile = Annotated[Path, typer.Option("--in", metavar="FILE", help="The file to read.")]
OutFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")]
CertFile = Annotated[Path, typer.Option("--cert", metavar="FILE", help="Your certificate, then its issuers.")]
KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key.")]
PhraseFile = Annotated[
    Path | None, typer.Option("--phrase-file", metavar="FILE", help="Holds the key's pass phrase.")
]
Pem = Annotated[bool, typer.Option("--pem", help="Write PEM instead of DER.")]


@app.command(epilog="Example: e2s cms sign --cert me.pem --key me.key --in order.pdf --out order.cms")
def sign(
    cert: CertFile,
    key: KeyFile,
    source: InFile,
    out: OutFile,
    detached: Annotated[bool, typer.Option("--detached", help="Leave the content out.")] = False,
    phrase_file: PhraseFile = None,
    pem: Pem = False,
) -> None:
    """Sign a file; the message holds it, your certificate and its issuers."""
    own, *issuers = _certificates(cert)
    signer = KeySigner(own, tuple(issuers), _key(key, phrase_file))
    message = cms.sign(_read(source), oids.DATA, signer, _now(), detached=detached)
    _write(out, armoured(message) if pem else message)


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
    as_json: Annotated[bool, typer.Option("--json", help="Say it as a JSON object.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the verified content here.")
    ] = None,
) -> None:
    """Prove who signed a message; certificates are judged as of now."""
    anchors = _certificates(trust)
    signed = cms.read_signed(unarmoured(_read(source)), cms.FOREIGN)
    given = _read(content) if content else None
    cms.check_signature(signed, given)
    verdict = (
        Verifier(anchors)
        .judge(
            signed.signer_certificate,
            signed.certificates,
            (*signed.crls, *(_crl(path) for path in crl or ())),
            at=_now(),
            purpose=None,
            name=None,
            require_revocation=bool(crl),
        )
        .or_refuse()
    )
    if out is not None:
        _write(out, signed.octets if given is None else given)
    told = _told(signed, verdict, revocation="checked" if crl else "not checked")
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"good: signed by {told['signer']} (serial {told['serial']})")
        print(f"time claimed: {told['at'] or 'none'}; revocation: {told['revocation']}")


@app.command(epilog="Example: e2s cms encrypt --to anna.pem --to bert.pem --in order.pdf --out order.enc")
def encrypt(
    to: Annotated[list[Path], typer.Option("--to", metavar="CERT", help="A recipient's certificate.")],
    source: InFile,
    out: OutFile,
    more: Annotated[list[Path] | None, typer.Argument(metavar="CERT...", help="More recipients.")] = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="EnvelopedData with AES-256-CBC, for old peers.")
    ] = False,
    pem: Pem = False,
) -> None:
    """Encrypt a file so that exactly the recipients can read it (AES-256-GCM)."""
    recipients = list(dict.fromkeys(_certificates(path)[0] for path in (*to, *(more or ()))))
    seal = cms.seal_legacy if legacy else cms.seal
    message = seal(_read(source), oids.DATA, recipients, secrets.token_bytes)
    _write(out, armoured(message) if pem else message)


@app.command(epilog="Example: e2s cms decrypt --cert me.pem --key me.key --in order.enc --out order.pdf")
def decrypt(
    cert: CertFile,
    key: KeyFile,
    source: InFile,
    out: OutFile,
    phrase_file: PhraseFile = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse older forms, which authenticate nothing.")
    ] = False,
) -> None:
    """Decrypt a file that was encrypted to your certificate; the output is readable by you alone."""
    opener = KeyOpener(_certificates(cert)[0], _key(key, phrase_file))
    message = unarmoured(_read(source))
    _kind, content = cms.open_sealed(message, opener, allow_legacy=not strict, max_bytes=_MAX_BYTES)
    _write(out, content, private=True)
    if not cms.is_authenticated(message):
        print("note: this older form does not show whether the content was altered", file=sys.stderr)


def _told(signed: cms.Signed, verdict: Verdict, *, revocation: str) -> dict[str, object]:
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
        "detached": signed.content is None,
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


def _write(path: Path, octets: bytes, *, private: bool = False) -> None:
    """Write whole or not at all: a temporary file beside it takes its place at the end."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            if not private:
                mask = os.umask(0)
                os.umask(mask)
                Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Misuse(
            "cannot-write", "the file cannot be written", file=str(path), why=error.strerror
        ) from error
