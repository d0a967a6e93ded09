"""What the commands of ``e2s escrow`` share: options, how a vault and somebody's own keys are opened."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.base.wire import Document
from e2s.cli.homes import phrase_of
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Opener, Signer
from e2s.security.escrow.home import Edges, open_home
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import sign_at
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse

At = Annotated[Path, typer.Option("--home", metavar="DIR", help="The vault's home.")]
VaultPhrase = Annotated[
    Path | None,
    typer.Option("--vault-phrase-file", metavar="FILE", help="Holds the vault's pass phrase or PIN."),
]
Pse = Annotated[
    Path, typer.Option("--pse", metavar="FILE", help="Your own PSE, with keys that sign and open (e2s pse).")
]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="Holds your pass phrase; else it is asked for."),
]
Case = Annotated[str, typer.Argument(metavar="CASE", help="The case, or its number (e2s escrow list).")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]


@dataclass(frozen=True, kw_only=True)
class Own:
    """Somebody's own keys, open for one command."""

    pse: SoftwarePse
    phrase: Phrase

    @property
    def name(self) -> str:
        """Who she is."""
        return self.signer().certificate.name

    def signer(self) -> Signer:
        """Her first key that signs; raises :class:`Misuse` ``no-signing-key``."""
        for label in self.pse.labels():
            usage = _usage(self.pse.certificate(label))
            if usage.get("digital_signature"):
                return self.pse.signer(label, self.phrase if self.pse.is_fresh(label) else None)
        raise Misuse("no-signing-key", "this PSE has no certified key that signs")

    def openers(self) -> list[Opener]:
        """Her keys that open what was sealed."""
        found = []
        for label in self.pse.labels():
            usage = _usage(self.pse.certificate(label))
            if usage.get("key_agreement") or usage.get("key_encipherment"):
                found.append(self.pse.opener(label))
        return found

    def chain(self) -> tuple[Certificate, ...]:
        """The certificate that is sealed to, and its issuers; raises :class:`Misuse` ``no-opening-key``."""
        for opener in self.openers():
            label = next(one for one in self.pse.labels() if self.pse.certificate(one) == opener.certificate)
            return (opener.certificate, *self.pse.chain(label))
        raise Misuse("no-opening-key", "this PSE has no certified key that opens")

    def opener(self, certificate: Certificate) -> Opener:
        """Her key of this certificate; raises :class:`Misuse` ``no-opening-key``."""
        for opener in self.openers():
            if opener.certificate == certificate:
                return opener
        raise Misuse("no-opening-key", "this PSE has no key of the certificate that the case names")

    def sign(self) -> Callable[[Document], bytes]:
        """What signs documents in her name."""
        signer = self.signer()
        return lambda document: sign_at(document, signer)


def _usage(certificate: Certificate) -> dict[str, bool]:
    from cryptography import x509

    found = certificate.values.get(x509.KeyUsage)
    names = ("digital_signature", "key_agreement", "key_encipherment")
    return {} if found is None else {name: getattr(found, name) for name in names}


@contextlib.contextmanager
def opened(home: Path, phrase_file: Path | None) -> Iterator[Vault]:
    """The vault, for one command."""
    phrase = phrase_of(phrase_file, "Pass phrase of the vault")
    try:
        with open_home(home, phrase, edges()) as vault:
            phrase.wipe()
            yield vault
    finally:
        phrase.wipe()


@contextlib.contextmanager
def own(path: Path, phrase_file: Path | None) -> Iterator[Own]:
    """Somebody's own keys, for one command."""
    phrase = phrase_of(phrase_file, "Your pass phrase")
    try:
        pse = SoftwarePse.open(path, phrase)
        try:
            yield Own(pse=pse, phrase=phrase)
        finally:
            pse.close()
    finally:
        phrase.wipe()


def edges() -> Edges:
    """The machine's clock and randomness."""
    return Edges(clock=SystemClock(), random=secrets.token_bytes)


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether it is meant; who says no ends the command with status 1."""
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)
