"""``e2s external enrol``, ``renew`` and ``revoke``: keys of ours that another provider certifies."""

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
from e2s.cli import files
from e2s.cli.ca_founding import Module, Token, where_of
from e2s.cli.ca_home import confirm, new_phrase
from e2s.cli.external_home import Json
from e2s.cli.homes import phrase_of
from e2s.cli.report import document, say
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.crypto.suites import signature_suite
from e2s.network.sessions.client import HttpExchange
from e2s.security.enrolment.invitations import read_code
from e2s.security.environments.holding import names_of
from e2s.security.external.enrolling import Enrolled, Later, Way, obtained, request_for
from e2s.security.keys.generation import generate
from e2s.security.keys.key_place import InSealedFile
from e2s.security.keys.lent import lent
from e2s.security.keys.where import make_key, open_key

LABEL = "external"
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the key.")]
Acme = Annotated[str, typer.Option("--acme", metavar="URL", help="The provider's ACME directory.")]
Est = Annotated[str, typer.Option("--est", metavar="URL", help="The provider's EST server: https://host.")]
Cmp = Annotated[str, typer.Option("--cmp", metavar="URL", help="The provider's CMP server, without a path.")]
Ca = Annotated[
    list[Path], typer.Option("--ca", metavar="FILE", help="Roots that what comes back must lead to (again).")
]
TlsRoot = Annotated[
    Path | None, typer.Option("--tls-root", metavar="FILE", help="For https: whom the server is trusted by.")
]
CodeFile = Annotated[
    Path | None,
    typer.Option("--code-file", metavar="FILE", help="REFERENCE.SECRET that the provider gave you."),
]
Port = Annotated[
    int,
    typer.Option(
        "--http-port", metavar="N", help="Where http-01 is answered, for ACME; port 80 of the host."
    ),
]
Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="Ask again for so long.")]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--phrase-file", metavar="FILE", help="The key's pass phrase, or the token's PIN."),
]


@dataclass(frozen=True, kw_only=True)
class Told:
    """Where the provider is and who we are there, as the command line says."""

    acme: str
    est: str
    cmp: str
    tls_root: Path | None
    code_file: Path | None
    port: int
    names: tuple[str, ...]
    folder: Path

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``one-protocol``."""
        if sum(map(bool, (self.acme, self.est, self.cmp))) != 1:
            raise Misuse("one-protocol", "say one of --acme, --est and --cmp")

    def code(self) -> tuple[str, bytes] | None:
        """Reference and secret; a provider's own may be of any form."""
        if self.code_file is None:
            return None
        phrase = phrase_of(self.code_file, "Code")
        text = phrase.octets.decode("utf-8", "replace").strip()
        phrase.wipe()
        reference, point, secret = text.partition(".")
        if not point:
            return read_code(text)
        return reference, secret.encode()


def enrol(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Folder,
    name: Annotated[
        list[str], typer.Option("--name", metavar="NAME", help="Host, mail address or URN (again for more).")
    ],
    ca: Ca,
    acme: Acme = "",
    est: Est = "",
    cmp: Cmp = "",
    code_file: CodeFile = None,
    suite: Annotated[str, typer.Option("--suite", metavar="SUITE", help="Of the new key.")] = "p256-sha256",
    module: Module = None,
    token: Token = "",
    key_label: Annotated[
        str, typer.Option("--key-label", metavar="LABEL", help="The key's label in the token.")
    ] = LABEL,
    tls_root: TlsRoot = None,
    http_port: Port = 80,
    wait: Wait = 0.0,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Have a new key certified by another provider; it is made, and stays, in a sealed file or a token.

    Who is interrupted, or must wait, gives the same command again: the key is the same.
    """
    told = _told(acme, est, cmp, tls_root, code_file, http_port, name, folder)
    where = where_of(module, token, key_label)
    kept = isinstance(where, InSealedFile)
    phrase = new_phrase(phrase_file, "the key") if kept else phrase_of(phrase_file, "PIN of the token")
    new = make_key(folder, where, phrase, suite, label=LABEL, random=secrets.token_bytes)
    try:
        asked = request_for(new.key, signature_suite(suite), tuple(name))
        with _way(told, None, ca) as way:
            found = _obtained(lambda: way.enrol(asked), asked, ca, wait)
        if isinstance(found, Enrolled):
            new.certified(found.certificate, found.chain).close()
    finally:
        new.close()
        phrase.wipe()
    _say(folder, found, as_json=as_json)


def renew(
    folder: Folder,
    ca: Ca,
    acme: Acme = "",
    est: Est = "",
    cmp: Cmp = "",
    tls_root: TlsRoot = None,
    http_port: Port = 80,
    wait: Wait = 0.0,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Have the same key certified again by its provider: CMP messages are signed by it, wherever it lives."""
    phrase = phrase_of(phrase_file, "Pass phrase, or PIN")
    opened = open_key(folder, phrase, label=_label(folder))
    try:
        signer = opened.signer()
        held = signer.certificate
        names = names_of(held)
        told = _told(acme, est, cmp, tls_root, None, http_port, list(names), folder)
        asked = request_for(lent(signer), signer.suite, names)
        with _way(told, signer, ca) as way:
            found = _obtained(lambda: way.renew(asked, held), asked, ca, wait)
        if isinstance(found, Enrolled):
            opened.recertified(found.certificate, found.chain, phrase, random=secrets.token_bytes)
    finally:
        opened.close()
        phrase.wipe()
    _say(folder, found, as_json=as_json)


def revoke(
    folder: Folder,
    ca: Ca,
    reason: Annotated[
        str, typer.Option("--reason", metavar="REASON", help="Why (RFC 5280, 5.3.1).")
    ] = "cessationOfOperation",
    acme: Acme = "",
    cmp: Cmp = "",
    tls_root: TlsRoot = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    phrase_file: PhraseFile = None,
) -> None:
    """Have our certificate there revoked by its provider."""
    phrase = phrase_of(phrase_file, "Pass phrase, or PIN")
    opened = open_key(folder, phrase, label=_label(folder))
    phrase.wipe()
    try:
        signer = opened.signer()
        confirm(f"Revoke {signer.certificate.serial:x}?", yes=yes)
        with _way(_told(acme, "", cmp, tls_root, None, 80, [], folder), signer, ca) as way:
            way.revoke(signer.certificate, reason)
    finally:
        opened.close()
    say(f"{signer.certificate.serial:x} is revoked")


def _label(folder: Path) -> str:
    """What the key in a folder is called: as ``enrol`` calls its keys, or as its PSE calls this one."""
    ours = any((folder / f"{LABEL}{suffix}").exists() for suffix in (".pse", ".pem"))
    return LABEL if ours else folder.resolve().name


def _told(
    acme: str,
    est: str,
    cmp: str,
    tls_root: Path | None,
    code: Path | None,
    port: int,
    names: list[str],
    folder: Path,
) -> Told:
    return Told(
        acme=acme,
        est=est,
        cmp=cmp,
        tls_root=tls_root,
        code_file=code,
        port=port,
        names=tuple(names),
        folder=folder,
    )


@contextlib.contextmanager
def _way(told: Told, signer: Signer | None, ca: list[Path]) -> Iterator[Way]:
    """The provider's door; ``signer`` is our certified key there, when it renews or ends."""
    exchange = HttpExchange(anchors=files.read(told.tls_root) if told.tls_root else b"")
    if told.acme:
        with _by_acme(told, exchange) as way:
            yield way
    elif told.est:
        if signer is not None:
            raise Misuse(
                "no-est-renewal",
                "EST renews for who shows the key in TLS, and ours stays where it lives: renew by --cmp",
            )
        yield _by_est(told, exchange)
    else:
        yield _by_cmp(told, exchange, signer, _roots(ca))


@contextlib.contextmanager
def _by_acme(told: Told, exchange: HttpExchange) -> Iterator[Way]:
    from e2s.cli.options import key_of
    from e2s.security.acme.client import AcmeClient
    from e2s.security.acme.responders import FileResponder
    from e2s.security.external.enrolling import ByAcme

    file = told.folder / "account.key"
    known = file.exists()
    if not known:
        _write_account(file)
    client = AcmeClient(exchange=exchange, directory=told.acme, key=key_of(file, None))
    client.register(binding=told.code(), agree=True, existing=known)
    responder = FileResponder()
    with responder.served(port=told.port):
        yield ByAcme(client=client, responder=responder, names=told.names)


def _write_account(file: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from e2s.security.keys.durable import replace_file

    key = generate("p256-sha256", secrets.token_bytes)
    replace_file(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _by_est(told: Told, exchange: HttpExchange) -> Way:
    from e2s.security.est.client import EstClient
    from e2s.security.external.enrolling import ByEst

    return ByEst(client=EstClient(exchange, told.est, invitation=told.code()))


def _by_cmp(told: Told, exchange: HttpExchange, signer: Signer | None, roots: tuple[Certificate, ...]) -> Way:
    from e2s.security.cmp.client import CmpClient
    from e2s.security.cmp.protection import Protector, Shared, Signed
    from e2s.security.external.enrolling import ByCmp, answering

    code = told.code()
    if signer is not None:
        protector: Protector = Signed(signer=signer)
    elif code is not None:
        reference, secret = code
        protector = Shared(reference=reference.encode(), secret=secret, random=secrets.token_bytes)
    else:
        raise Misuse("no-code", "a first request by CMP is protected by a secret: --code-file")
    client = CmpClient(
        exchange=exchange,
        origin=told.cmp,
        protector=protector,
        clock=SystemClock(),
        random=secrets.token_bytes,
        judge=answering(roots, signer.chain if signer else (), SystemClock().now),
    )
    return ByCmp(client=client)


def _obtained(
    ask: Callable[[], Enrolled | Later], asked: bytes, ca: list[Path], wait: float
) -> Enrolled | Later:
    return obtained(ask, asked, _roots(ca), now=SystemClock().now, wait_seconds=wait)


def _roots(ca: list[Path]) -> tuple[Certificate, ...]:
    return tuple(one for path in ca for one in files.certificates(path))


def _say(folder: Path, found: Enrolled | Later, *, as_json: bool) -> None:
    if isinstance(found, Later):
        if as_json:
            document({"state": "waiting", "retry-seconds": found.retry_seconds})
        else:
            say(f"the provider's officers have to agree: ask again in {found.retry_seconds} seconds")
        raise typer.Exit(1)
    certificate = found.certificate
    if as_json:
        document({"state": "certified", "serial": f"{certificate.serial:x}", "digest": certificate.id})
        return
    say(f"certified    {' '.join(names_of(certificate)) or certificate.subject}")
    say(f"good until   {certificate.not_after:%Y-%m-%d}")
    say(f"key          {folder}")
