"""``e2s ca issue``, ``request``, ``renew``: the daily work of a CA's officer."""

from __future__ import annotations

import secrets
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.cli.ca_home import (
    Folder,
    Json,
    Officer,
    PhraseFile,
    Which,
    chosen,
    facts,
    file_name,
    instant,
    officer_of,
    opened,
    parsed_instant,
    write_new,
)
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.pem import armoured
from e2s.security.certificates.certify import request as request_for
from e2s.security.keys.generation import generate

Names = Annotated[
    list[str],
    typer.Option("--name", metavar="NAME", help="Host, address, mail address or URN (again for more)."),
]
KeyOut = Annotated[Path | None, typer.Option("--key-out", metavar="FILE", help="Where the new key goes.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the result goes.")]
KeyPhraseFile = Annotated[
    Path | None,
    typer.Option(
        "--key-phrase-file", metavar="FILE", help="Holds a pass phrase that seals the new key's file."
    ),
]
KeySuite = Annotated[str, typer.Option("--suite", metavar="SUITE", help="Of a new key (e2s suites).")]


class Confidence(StrEnum):
    """How far a certificate may be relied on."""

    low = "low"
    substantial = "substantial"
    high = "high"


def issue(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="What for (e2s ca profiles).")],
    name: Names,
    request: Annotated[
        Path | None,
        typer.Option("--request", metavar="FILE", help="A PKCS #10 request; without one a key is made."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", min=1, help="How long it is good.")
    ] = None,
    until: Annotated[str, typer.Option("--until", metavar="RFC3339", help="Until when it is good.")] = "",
    confidence: Annotated[
        Confidence | None, typer.Option("--confidence", help="The level of confidence.")
    ] = None,
    case: Annotated[
        str, typer.Option("--case", metavar="TEXT", help="The registration it follows from.")
    ] = "",
    out: Out = None,
    key_out: KeyOut = None,
    key_phrase_file: KeyPhraseFile = None,
    suite: KeySuite = "p256-sha256",
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Certify a key: of a request that proves its possession, or one that is made here.

    Writes the certificate with those between it and the root to NAME.pem, and a new key to NAME.key.
    """
    if days is not None and until:
        raise Misuse("two-ends", "say --days or --until, not both")
    stem = file_name(name[0])
    certificate_file = out or Path(f"{stem}.pem")
    key_file = key_out or certificate_file.with_suffix(".key")
    for path in (certificate_file, *(() if request else (key_file,))):
        if path.exists():
            raise Misuse("file-exists", "this file is there already: name another", file=str(path))
    not_after = (
        SystemClock().now() + timedelta(days=days) if days else parsed_instant(until) if until else None
    )
    key = None if request else generate(suite, secrets.token_bytes)
    wanted = request_of(request) if request else key.public_key()  # type: ignore[union-attr]
    with opened(folder, phrase_file) as (seen, authority):
        if key is not None:
            write_new(key_file, sealed(key, key_phrase_file), private=True)
        try:
            certificate = authority.issue(
                profile,
                wanted,
                name,
                officer=officer_of(seen, officer),
                not_after=not_after,
                confidence=confidence.value if confidence else None,
                case=case,
            )
        except E2SError:
            if key is not None:
                key_file.unlink()
            raise
        write_new(certificate_file, b"".join(one.pem for one in (certificate, *seen.issuers)))
    _told(certificate, certificate_file, None if request else key_file, as_json=as_json)


def renew(
    folder: Folder,
    which: Which,
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", min=1, help="How long it is good.")
    ] = None,
    out: Out = None,
    officer: Officer = "",
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Certify the same key for the same names and profile again; the old certificate stays as it is."""
    with opened(folder, phrase_file) as (seen, authority):
        old = chosen(authority, which)
        if old.state not in {"good", "expired"}:
            raise Refusal("revoked", "what was withdrawn is not renewed", state=old.state)
        from e2s.security.ceremonies.recovery import again

        end = SystemClock().now() + timedelta(days=days) if days else None
        certificate = again(authority, old, officer=officer_of(seen, officer), not_after=end)
        path = out or Path(f"{file_name(old.name)}-{certificate.serial:x}"[:60] + ".pem")
        write_new(path, b"".join(one.pem for one in (certificate, *seen.issuers)))
    _told(certificate, path, None, as_json=as_json)


def request(
    name: Names,
    out: Out = None,
    key_out: KeyOut = None,
    key_phrase_file: KeyPhraseFile = None,
    suite: KeySuite = "p256-sha256",
    as_json: Json = False,
) -> None:
    """Make a key and a PKCS #10 request that proves its possession: NAME.key and NAME.p10."""
    stem = file_name(name[0])
    request_file = out or Path(f"{stem}.p10")
    key_file = key_out or request_file.with_suffix(".key")
    key = generate(suite, secrets.token_bytes)
    octets = request_for(key, tuple(name))
    write_new(key_file, sealed(key, key_phrase_file), private=True)
    write_new(request_file, armoured(octets, b"CERTIFICATE REQUEST"))
    if as_json:
        document({"names": name, "request": str(request_file), "key": str(key_file)})
        return
    say(f"key          {key_file}")
    say(f"request      {request_file}")


def request_of(path: Path) -> bytes:
    """A request's DER, from DER or PEM; raises :class:`Refusal` ``bad-request``."""
    octets = files.read(path)
    if not octets.lstrip().startswith(b"-----"):
        return octets
    try:
        return x509.load_pem_x509_csr(octets).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Refusal("bad-request", "the file is no PKCS #10 request", file=str(path)) from error


def sealed(key: PrivateKey, phrase_file: Path | None) -> bytes:
    """A key in PEM, PKCS #8, under a pass phrase where one is given."""
    sealing: KeySerializationEncryption = NoEncryption()
    if phrase_file is not None:
        sealing = BestAvailableEncryption(phrase_of(phrase_file).octets)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)


def _told(certificate: Certificate, path: Path, key_file: Path | None, *, as_json: bool) -> None:
    if as_json:
        document(facts(certificate, file=str(path), key=str(key_file) if key_file else None))
        return
    say(f"serial       {certificate.serial:x}")
    say(f"good until   {instant(certificate.not_after)}")
    say(f"certificate  {path}")
    if key_file is not None:
        say(f"key          {key_file}")
