"""Options and what they load that several commands share: files, certificates, keys."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.instants import SystemClock
from e2s.cli import files
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.suites import SignatureSuite
from e2s.security.keys.phrase import phrase_from_file

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


def now() -> datetime:
    """The machine's clock."""
    return SystemClock().now()


def key_of(path: Path, phrase_file: Path | None) -> PrivateKey:
    """The private key in a PEM file, opened by the pass phrase in another where it needs one."""
    phrase = phrase_from_file(phrase_file).octets if phrase_file else None
    return read_private_key(files.read(path), phrase)


def signer_of(
    cert: Path, key: Path, phrase_file: Path | None, suite: SignatureSuite | None = None
) -> KeySigner:
    """Who signs: the first certificate of a file with the others as its chain, and the private key."""
    own, *issuers = files.certificates(cert)
    return KeySigner(own, tuple(issuers), key_of(key, phrase_file), suite=suite)
