"""``e2s cms`` on messages of further kinds: receipts (RFC 2634) and compressed content (RFC 3274)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from e2s.base.errors import Refusal
from e2s.cli import files
from e2s.cli.options import CertFile, InFile, KeyFile, OutFile, Pem, PhraseFile, now, signer_of
from e2s.cli.streams import reading, reading_message, writing
from e2s.crypto import cms
from e2s.crypto.cms import Signed
from e2s.security.verification.traits import alternative_names
from e2s.security.verification.verifier import Verifier

TrustFile = Annotated[Path, typer.Option("--trust", metavar="FILE", help="The roots that you trust.")]
ContentFile = Annotated[
    Path | None, typer.Option("--content", metavar="FILE", help="The content of a detached signature.")
]


def add_to(app: typer.Typer) -> None:
    """Make these commands of the group."""
    example = "Example: e2s cms "
    app.command(epilog=example + "compress --in log.txt --out log.cms")(compress)
    app.command(epilog=example + "expand --in log.cms --out log.txt")(expand)
    app.command(
        epilog=example + "receipt --trust root.pem --cert me.pem --key me.key --in order.cms --out order.rcpt"
    )(receipt)
    app.command(
        "check-receipt", epilog=example + "check-receipt --trust root.pem --of order.cms --in order.rcpt"
    )(check_receipt)


def compress(source: InFile, out: OutFile, pem: Pem = False) -> None:
    """Pack a file (zlib) as CompressedData, to be signed or encrypted after."""
    with reading(source, out) as file, writing(out, pem=pem) as packed:
        packed.write(cms.compress(files.whole(file, source)))


def expand(
    source: InFile,
    out: OutFile,
    most: Annotated[
        int, typer.Option("--max-bytes", metavar="N", min=1, help="Refuse content that is larger.")
    ] = files.MAX_BYTES,
) -> None:
    """Unpack CompressedData; what would grow beyond the bound is refused before it does."""
    with reading_message(source, out) as file, writing(out) as unpacked:
        message = cms.normalised(files.whole(file, source))
        unpacked.write(cms.decompress(message, max_bytes=most)[1])


def receipt(
    trust: TrustFile,
    cert: CertFile,
    key: KeyFile,
    source: InFile,
    out: OutFile,
    content: ContentFile = None,
    phrase_file: PhraseFile = None,
    pem: Pem = False,
) -> None:
    """Give the signed receipt that a message asks for, once the message is proven."""
    signed = _trusted(source, trust)
    request = cms.request_in(signed)
    signer = signer_of(cert, key, phrase_file)
    mails = [one.value for one in alternative_names(signer.certificate) if isinstance(one, x509.RFC822Name)]
    own = (*signer.certificate.names, *mails)
    if request is not None and not request.asks(own):
        raise Refusal(
            "not-asked",
            "the message asks others for receipts",
            asked=", ".join(name for names in request.of or () for name in names),
        )
    given = files.read(content) if content else None
    with writing(out, pem=pem) as file:
        file.write(cms.receipt_for(signed, signer, now(), content=given))
    if request is not None:
        print("send it to: " + ", ".join(name for names in request.to for name in names))


def check_receipt(
    trust: TrustFile,
    of: Annotated[Path, typer.Option("--of", metavar="FILE", help="Your message that asked for it.")],
    source: InFile,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as a JSON object.")] = False,
) -> None:
    """Prove that a receipt is for your message, and whose it is."""
    signed = _message(of)
    with reading_message(source, None) as file:
        found = cms.check_receipt(cms.normalised(files.whole(file, source)), signed)
    _judged(found, trust)
    certificate = found.signer_certificate
    if as_json:
        print(json.dumps({"outcome": "good", "signer": certificate.name or certificate.subject}))
    else:
        print(f"good: received by {certificate.name or certificate.subject}")


def _message(path: Path) -> Signed:
    """The message in a file, as others write them; nothing in it is proven."""
    with reading_message(path, None) as file:
        return cms.read_signed(cms.normalised(files.whole(file, path)), cms.FOREIGN)


def _trusted(path: Path, trust: Path) -> Signed:
    """The message in a file, its signer's certificate good under ``trust``; not yet its signature."""
    signed = _message(path)
    _judged(signed, trust)
    return signed


def _judged(signed: Signed, trust: Path) -> None:
    Verifier(files.certificates(trust)).judge(
        signed.signer_certificate,
        signed.certificates,
        signed.crls,
        at=now(),
        purpose=None,
        name=None,
        require_revocation=False,
    ).or_refuse()
