"""``e2s pse make`` to ``export``: a PSE in its holder's hands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli import files
from e2s.cli.ca_home import instant, new_phrase, write_new
from e2s.cli.homes import phrase_of
from e2s.cli.pse_home import Json, KindName, KindsFile, NewPse, PhraseFile, Pse, edges, kinds_of, opened
from e2s.cli.report import document, say, table
from e2s.crypto.pem import armoured
from e2s.security.environments.attributes import KeyAttributes, attributes_of
from e2s.security.environments.kinds import kind_called
from e2s.security.environments.making import install as put_in
from e2s.security.environments.making import make as made_of
from e2s.security.environments.making import take_in

Label = Annotated[str, typer.Argument(metavar="LABEL", help="The key (e2s pse list).")]
P12Phrase = Annotated[
    Path | None,
    typer.Option("--p12-phrase-file", metavar="FILE", help="Holds the pass phrase of the PKCS #12 file."),
]


def make(
    path: NewPse,
    kind: KindName,
    name: Annotated[
        list[str], typer.Option("--name", metavar="NAME", help="Your name, a URN; then others (again).")
    ],
    kinds: KindsFile = None,
    phrase_file: PhraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a PSE with new keys, and the requests for their certificates, PSE.LABEL.p10.

    Bring them to enrolment (e2s enrol request), and put what comes back in with e2s pse install. With a code,
    e2s pse join does all of that.
    """
    wanted = kind_called(kind, kinds_of(kinds))
    phrase = new_phrase(phrase_file, "the PSE")
    requests = made_of(path, phrase, wanted, tuple(name), edges())
    phrase.wipe()
    written = {
        label: write_new(Path(f"{path}.{label}.p10"), armoured(octets, b"CERTIFICATE REQUEST"))
        for label, octets in requests.items()
    }
    if as_json:
        document({"pse": path, "requests": written})
        return
    for label, file in written.items():
        say(f"{label}  {file}")


def install(
    path: Pse,
    certificates: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="A certificate with its issuers, each.")
    ],
    phrase_file: PhraseFile = None,
) -> None:
    """Put certificates beside their keys; each finds its own."""
    chains = [files.certificates(one) for one in certificates]
    with opened(path, phrase_file) as (pse, phrase):
        for label in put_in(pse, phrase, chains, edges()):
            say(f"{label}  {pse.certificate(label).name}  until {pse.certificate(label).not_after:%Y-%m-%d}")


def list_(path: Pse, phrase_file: PhraseFile = None, as_json: Json = False) -> None:
    """List the keys of a PSE and what their certificates say."""
    with opened(path, phrase_file) as (pse, _phrase):
        found = attributes_of(pse)
    if as_json:
        document({"name": found.name, "kept": dict(found.kept), "keys": [_told(one) for one in found.keys]})
        return
    rows = [
        (
            one.label,
            one.name if one.certified else "(not certified)",
            one.confidence,
            one.suite,
            f"{one.not_after:%Y-%m-%d}" if one.certified else "",
            "fresh" if one.fresh else "",
        )
        for one in found.keys
    ]
    table(("label", "name", "confidence", "suite", "until", "use"), rows)


def show(path: Pse, label: Label, phrase_file: PhraseFile = None, as_json: Json = False) -> None:
    """Show what an application reads of a key: names, confidence, policies, purposes; and the certificate."""
    with opened(path, phrase_file) as (pse, _phrase):
        certificate, chain = pse.certificate(label), pse.chain(label)
        told = _told(next(one for one in attributes_of(pse).keys if one.label == label))
    if as_json:
        document({**told, "certificate": certificate.pem.decode()})
        return
    for name, value in told.items():
        if value:
            say(f"{name:<12} {' '.join(value) if isinstance(value, list) else value}")
    for one in (certificate, *chain):
        say(one.pem.decode().rstrip())


def phrase(
    path: Pse,
    phrase_file: PhraseFile = None,
    new_phrase_file: Annotated[
        Path | None,
        typer.Option("--new-phrase-file", metavar="FILE", help="Holds the new one, or is made with one."),
    ] = None,
) -> None:
    """Change the pass phrase; the old file stands until the new one is written."""
    with opened(path, phrase_file) as (pse, old):
        new = new_phrase(new_phrase_file, "the PSE")
        ends = edges()
        pse.change_phrase(old, new, cost=ends.cost, random=ends.random)
        new.wipe()
    say(f"{path} opens by the new pass phrase")


def import_(
    path: Pse,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A PKCS #12 file.")],
    label: Annotated[
        str, typer.Option("--label", metavar="LABEL", help="What the key is called.")
    ] = "signature",
    phrase_file: PhraseFile = None,
    p12_phrase_file: P12Phrase = None,
    unsafe_allow_old: Annotated[
        bool, typer.Option("--unsafe-allow-old", help="Read what is sealed in old, weak ways.")
    ] = False,
) -> None:
    """Take a key with its certificates out of a PKCS #12 file into the PSE, or a new one."""
    from e2s.security.environments.pkcs12 import read

    theirs = phrase_of(p12_phrase_file, "Pass phrase of the PKCS #12 file")
    entry = read(files.read(source), theirs, unsafe_allow_old=unsafe_allow_old)
    theirs.wipe()
    ours = phrase_of(phrase_file) if path.exists() else new_phrase(phrase_file, "the PSE")
    take_in(path, ours, label, entry, edges())
    ours.wipe()
    say(f"{label}  {entry.certificate.name or entry.certificate.subject}")


def export(
    path: Pse,
    label: Label,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The PKCS #12 file to write.")],
    phrase_file: PhraseFile = None,
    p12_phrase_file: P12Phrase = None,
) -> None:
    """Write a key with its certificates to a PKCS #12 file, sealed by AES-256 under a pass phrase."""
    from e2s.security.environments.pkcs12 import written

    with opened(path, phrase_file) as (pse, own):
        if label not in pse.labels():
            raise Misuse("no-such-key", "there is no key of this label", label=label)
        theirs = new_phrase(p12_phrase_file, "the PKCS #12 file")
        octets = written(label, pse.entries(own)[label], theirs)
        theirs.wipe()
    write_new(out, octets, private=True)
    say(f"{out} holds {label}")


def _told(one: KeyAttributes) -> dict[str, object]:
    return {
        "label": one.label,
        "name": one.name if one.certified else "",
        "names": list(one.names),
        "confidence": one.confidence,
        "policies": list(one.policies),
        "purposes": list(one.purposes),
        "suite": one.suite,
        "serial": f"{one.serial:x}" if one.certified else "",
        "from": instant(one.not_before),
        "until": instant(one.not_after),
        "fresh": one.fresh,
    }
