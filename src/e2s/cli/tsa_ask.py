"""``e2s tsa query``, ``ask``, ``verify`` and ``show``: what a client does with time stamps."""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.http import Request, expect
from e2s.base.instants import DELTA, SystemClock
from e2s.cli import files
from e2s.cli.pki_words import Json, Lists, Trusted, Untrusted, instant, said, shown
from e2s.crypto import der, stamps
from e2s.crypto.certificates import Certificate
from e2s.crypto.stamps import Stamp
from e2s.security.keys.durable import replace_file
from e2s.security.timestamping.judging import judge_stamp
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier

_NONCE_BYTES = 16
_URL = re.compile(r"(https?://[^/]+)(/.*)?")


class Digest(StrEnum):
    """By which digest a file is named."""

    sha256 = "sha256"
    sha384 = "sha384"
    sha512 = "sha512"
    sha3_256 = "sha3-256"
    sha3_384 = "sha3-384"
    sha3_512 = "sha3-512"


File = Annotated[Path, typer.Argument(metavar="FILE", help="What is dated; only its digest is shown.")]
ByDigest = Annotated[Digest, typer.Option("--digest", help="The digest that names the file.")]
Policy = Annotated[str | None, typer.Option("--policy", metavar="OID", help="The policy to ask for.")]
NoCertificate = Annotated[
    bool, typer.Option("--no-certificate", help="Ask for a token without the authority's certificate.")
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where it goes; - for standard output.")
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="RFC3339", help="Judge the authority as of this instant, not the stamp's."),
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The name that the authority must bear.")
]
RequireRevocation = Annotated[
    bool, typer.Option("--require-revocation", help="Refuse an authority that no CRL tells of.")
]


class Judged(NamedTuple):
    """A stamp that is proven, and the verdict on its authority."""

    stamp: Stamp
    verdict: Verdict


def query(
    file: File,
    digest: ByDigest = Digest.sha256,
    policy: Policy = None,
    no_certificate: NoCertificate = False,
    no_nonce: Annotated[bool, typer.Option("--no-nonce", help="Leave the nonce out.")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Write a time-stamp request (RFC 3161) for a file, to FILE.tsq by default."""
    asked = stamps.request(
        imprint_of(file, digest),
        None if no_nonce else _nonce(),
        digest=_name(digest),
        policy=_oid(policy),
        certificate=not no_certificate,
    )
    target = out or file.with_name(f"{file.name}.tsq")
    put(target, asked)
    if target != Path("-"):
        said({"query": str(target)}, [f"query        {target}"], as_json=as_json)


def ask(  # noqa: PLR0913, PLR0917 - each is an option of the command
    file: File,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="The authority's address.")],
    trust: Trusted = None,
    untrusted: Untrusted = None,
    crl: Lists = None,
    require_revocation: RequireRevocation = False,
    name: Name = None,
    digest: ByDigest = Digest.sha256,
    policy: Policy = None,
    tls_trust: Annotated[
        Path | None, typer.Option("--tls-trust", metavar="FILE", help="Roots of an https address.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Have a file dated by an authority, prove the answer, and keep it, in FILE.tst by default.

    Proven are imprint, nonce, policy, signature, the authority's path and purpose, and that its clock is not
    far from yours.  Nothing is written that is not proven.
    """
    from e2s.network.sessions.client import HttpExchange

    match = _URL.fullmatch(url)
    if not match:
        raise Misuse("bad-url", "an address is written http://host:port/path or https://...", url=url)
    imprint, nonce, wanted = imprint_of(file, digest), _nonce(), _oid(policy)
    asked = stamps.request(imprint, nonce, digest=_name(digest), policy=wanted)
    exchange = HttpExchange(anchors=files.read(tls_trust) if tls_trust else b"")
    answer = exchange.send(match[1], Request("POST", match[2] or "/", asked, {"content-type": stamps.QUERY}))
    token = stamps.read_response(expect(answer, what="time stamp"))
    stamp = stamps.check_token(token, imprint, nonce, digest=_name(digest), foreign=True)
    if wanted is not None and stamp.policy != wanted:
        raise Refusal("wrong-policy", "the time stamp is under another policy", found=stamp.policy)
    now = SystemClock().now()
    if abs(stamp.at - now) > 2 * DELTA:
        raise Refusal("stamp-time", "the authority's clock and ours are too far apart")
    verdict = judge_stamp(
        stamp,
        Verifier(_certificates(trust)),
        _certificates(untrusted),
        [files.crl(path) for path in crl or ()],
        at=now,
        name=name,
        require_revocation=require_revocation,
    )
    verdict.or_refuse()
    target = out or file.with_name(f"{file.name}.tst")
    put(target, token)
    if target != Path("-"):
        told, lines = _good(Judged(stamp, verdict))
        said({**told, "token": str(target)}, [*lines, f"token        {target}"], as_json=as_json)


def verify(
    file: File,
    token: Annotated[Path, typer.Argument(metavar="TOKEN", help="The time-stamp token, or the whole reply.")],
    trust: Trusted = None,
    untrusted: Untrusted = None,
    crl: Lists = None,
    require_revocation: RequireRevocation = False,
    name: Name = None,
    request: Annotated[
        Path | None, typer.Option("--query", metavar="FILE", help="The request that it must answer.")
    ] = None,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Say whether a time stamp proves that a file existed, and when, or which rule it breaks.

    Status 0 when it does, 1 when it does not.  The authority is judged as of the stamp's own time: a stamp
    outlives its authority's certificate.
    """
    when = instant(at) if at else None
    try:
        octets = _token(files.read(token))
        between = _certificates(untrusted)
        seen = stamps.read_token(octets, foreign=True, certificates=between)
        nonce = None
        if request is not None:
            asked = stamps.read_request(files.read(request))
            nonce = asked.nonce
            if (asked.digest, asked.imprint) != (seen.digest, seen.imprint):
                raise Refusal("wrong-imprint", "the time stamp is over something else than was asked")
        imprint = hashed(file, seen.digest)
        stamp = stamps.check_token(
            octets, imprint, nonce, digest=seen.digest, foreign=True, certificates=between
        )
        verdict = judge_stamp(
            stamp,
            Verifier(_certificates(trust)),
            between,
            [files.crl(path) for path in crl or ()],
            at=when,
            name=name,
            require_revocation=require_revocation,
        )
    except Refusal as refusal:
        _bad(refusal.rule, refusal.message, as_json=as_json)
    if not verdict.accepted:
        _bad(verdict.rule, verdict.reason, as_json=as_json)
    told, lines = _good(Judged(stamp, verdict))
    said({"accepted": True, "rule": "", "reason": "", **told}, ["good", *lines], as_json=as_json)


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A token, a reply or a request.")],
    as_json: Json = False,
) -> None:
    """Show what a token, a reply or a request says; nothing of it is proven."""
    octets = files.read(file)
    kind = _kind(octets)
    if kind == "query":
        asked = stamps.read_request(octets)
        told: dict[str, object] = {
            "digest": asked.digest.replace("_", "-"),
            "imprint": asked.imprint.hex(),
            "policy": asked.policy or "",
            "nonce": f"{asked.nonce:x}" if asked.nonce is not None else "",
            "certificate": asked.wants_certificate,
        }
    else:
        stamp = stamps.read_token(_token(octets), foreign=True)
        told = {**_facts(stamp), "imprint": stamp.imprint.hex()}
        told["nonce"] = f"{stamp.nonce:x}" if stamp.nonce is not None else ""
    said({"kind": kind, **told}, _lines({"this is a": kind, **told}), as_json=as_json)


def imprint_of(file: Path, digest: Digest) -> bytes:
    """The file's digest, however large it is."""
    return hashed(file, _name(digest))


def hashed(file: Path, name: str) -> bytes:
    """The digest called ``name`` of a file; raises :class:`Misuse` ``no-such-file``."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, name).digest()
    except OSError as error:
        raise Misuse("no-such-file", "the file cannot be read", file=str(file), why=error.strerror) from error


def put(path: Path, octets: bytes) -> None:
    """Write a result whole, or to standard output."""
    if path == Path("-"):
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return
    replace_file(path, octets, 0o644)


def _certificates(paths: list[Path] | None) -> tuple[Certificate, ...]:
    """The certificates of all the files."""
    return tuple(one for path in paths or () for one in files.certificates(path))


def _bad(rule: str, reason: str, *, as_json: bool) -> NoReturn:
    """A stamp that proves nothing ends the command with status 1."""
    told = {"accepted": False, "rule": rule, "reason": reason}
    said(told, [f"refused: {rule}: {shown(reason)}"], as_json=as_json)
    raise typer.Exit(1)


def _good(judged: Judged) -> tuple[dict[str, object], list[str]]:
    facts = _facts(judged.stamp)
    path = [one.name or one.subject for one in judged.verdict.path]
    return {**facts, "path": path}, _lines({**facts, "path": " <- ".join(path)})


def _facts(stamp: Stamp) -> dict[str, object]:
    """What a stamp says, for a program."""
    signer = stamp.signed.signer_certificate
    return {
        "at": stamp.at.isoformat().replace("+00:00", "Z"),
        "accuracy": _seconds(stamp.accuracy),
        "authority": signer.name or signer.subject,
        "policy": stamp.policy,
        "serial": f"{stamp.serial:x}",
        "digest": stamp.digest.replace("_", "-"),
        "ordering": stamp.ordering,
    }


def _seconds(accuracy: timedelta | None) -> str:
    return f"{accuracy.total_seconds():g} s" if accuracy is not None else ""


def _lines(told: dict[str, object]) -> list[str]:
    """Facts for a person; what is empty is left out."""
    return [f"{name:<12} {shown(str(value))}" for name, value in told.items() if value not in {"", False}]


def _kind(octets: bytes) -> str:
    """Whether this is a query, a reply or a token, by its first member."""
    first = der.Reader(octets).enter().peek()
    return {der.INTEGER: "query", der.SEQUENCE: "reply"}.get(first, "token")


def _token(octets: bytes) -> bytes:
    """The token, from a whole reply if it is one."""
    return stamps.read_response(octets) if _kind(octets) == "reply" else octets


def _name(digest: Digest) -> str:
    return digest.value.replace("-", "_")


def _nonce() -> int:
    """A positive nonce of full length."""
    return int.from_bytes(secrets.token_bytes(_NONCE_BYTES), "big") | 1 << (8 * _NONCE_BYTES - 1)


def _oid(text: str | None) -> str | None:
    """A policy or none."""
    return None if text is None else oid_of(text)


def oid_of(text: str) -> str:
    """A policy; raises :class:`Misuse` ``bad-policy``."""
    try:
        if der.Reader(der.oid(text)).oid() == text:
            return text
    except (ValueError, IndexError, Refusal):
        pass
    raise Misuse("bad-policy", "a policy is written as 1.3.6.1.4.1.99999.1", given=text[:40])
