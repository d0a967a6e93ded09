"""``e2s evidence``: read a bundle, and judge it against a root, with no network and no database.

``show`` believes nothing and needs no root; ``verify`` runs every check and says what is wrong.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.commerce.archive import MAX_ARCHIVE_BYTES
from e2s.commerce.bankcard.evidence import CHECKS, Report, judge
from e2s.crypto.certificates import Certificate, read_certificates

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show and verify evidence bundles off-line.",
    epilog="Example: e2s evidence verify trade.tar --trust root.pem",
)

_WIDTH = 80
BundleFile = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The evidence bundle (a .tar file).")]
AsJson = Annotated[bool, typer.Option("--json", help="Say it as a JSON object.")]


@app.command(epilog="Example: e2s evidence show trade.tar")
def show(bundle: BundleFile, as_json: AsJson = False) -> None:
    """Show who said what and when, and what is missing; nothing is verified against a root."""
    octets = _read(bundle)
    found = judge(octets, _own_roots(octets))
    if found.outcome == "unreadable":
        raise Refusal("bad-bundle", found.findings[0].found, object=found.findings[0].object)
    if as_json:
        shown = found.document()
        print(json.dumps({name: shown[name] for name in shown if name not in {"holds", "findings"}}))
        return
    _print(_story(found, proven="stamped"))
    print("not verified: e2s evidence verify BUNDLE --trust ROOT.pem does that")


@app.command(epilog="Example: e2s evidence verify trade.tar --trust root.pem")
def verify(
    bundle: BundleFile,
    trust: Annotated[
        list[Path], typer.Option("--trust", metavar="FILE", help="The roots that you trust, in PEM.")
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="RFC3339", help="Judge as of this instant: what is later is a fault."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the thirty checks, and say who is bound to what, since when; exit 1 if anything is wrong."""
    anchors = [certificate for path in trust for certificate in _certificates(path)]
    found = judge(_read(bundle), anchors, _instant(at))
    if as_json:
        print(json.dumps(found.document()))
    else:
        _print(_story(found))
        _print(_judgement(found))
    if not found.holds:
        sys.exit(1)


def _own_roots(octets: bytes) -> list[Certificate]:
    """Roots for showing: none is believed, so every certificate at hand serves as its own."""
    from e2s.commerce.bankcard.exhibits import lay_open  # only to show
    from e2s.commerce.evidence import open_bundle  # only to show
    from e2s.crypto.stamps import read_token  # only to show

    opened, _ = open_bundle(octets)
    if opened is None:
        return []
    exhibits = lay_open(opened)
    inside = [exhibit.act.certificate for exhibit in exhibits.acts.values()]
    for _, token in opened.of("stamp"):
        try:
            inside.append(read_token(token).signed.signer_certificate)
        except Refusal:
            continue
    return list(dict.fromkeys([*inside, *exhibits.certificates]))


def _story(found: Report, proven: str = "proven") -> Iterable[str]:
    """The trade as the acts tell it, within 80 columns."""
    yield f"trade    {found.trade}"
    yield f"kept by  {found.party}"
    yield f"outcome  {found.outcome}"
    yield from _order(found)
    yield ""
    for one in found.commitments:
        how = f"{proven} by {format_instant(one.at)}" if one.proven else "claimed"
        yield f"{format_instant(one.claimed)} {how}"
        yield from _wrapped(f"{_short(one.signer)} ({one.role}), {one.act}:", indent=9)
        yield from _wrapped(one.words, indent=11)
    if found.gaps:
        yield ""
        for gap in found.gaps:
            yield from _wrapped(gap, indent=9, first="gap      ")
    yield ""


def _order(found: Report) -> Iterable[str]:
    """The lines of what was ordered, with the sums that follow from them."""
    if found.order is None:
        return
    currency = found.order["currency"]
    for line in found.order["lines"]:
        about = textwrap.shorten(f"{line['qty']} x {line['text']}", 52, placeholder="...")
        yield f"line {line['n']:<3} {about:54}{line['net']:>12} {currency}"
    for row in found.order["vat"]:
        about = f"VAT {row['rate']} % of {row['base']}"
        yield f"         {about:54}{row['tax']:>12} {currency}"
    yield f"         {'total':54}{found.order['total']:>12} {currency}"


def _short(name: str) -> str:
    """A party's name without the scheme that all of them share."""
    return name.removeprefix("urn:e2s:")


def _judgement(found: Report) -> Iterable[str]:
    for finding in found.findings:
        yield f"wrong    check {finding.check}, {CHECKS[finding.check]}"
        yield from _wrapped(finding.object, indent=18, first="         object   ")
        yield from _wrapped(finding.expected, indent=18, first="         expected ")
        yield from _wrapped(finding.found, indent=18, first="         found    ")
    if found.holds:
        yield f"good: {len(CHECKS)} checks, {len(found.commitments)} commitments"
    else:
        yield f"not good: {len(found.findings)} findings"


def _wrapped(text: str, *, indent: int, first: str = "") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first or " " * indent, subsequent_indent=" " * indent
    ) or [first.rstrip()]


def _print(lines: Iterable[str]) -> None:
    """Lines for a terminal: nothing that came with the bundle steers it."""
    for line in lines:
        print("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except Refusal as refusal:
        raise Misuse("bad-instant", "--at takes an instant such as 2026-03-02T10:00:00Z") from refusal


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        raise Misuse("no-file", f"{path}: {error.strerror}") from error
    if len(octets) > MAX_ARCHIVE_BYTES:
        raise Refusal("bad-bundle", "the bundle is larger than may be read", most=MAX_ARCHIVE_BYTES)
    return octets


def _certificates(path: Path) -> tuple[Certificate, ...]:
    try:
        return read_certificates(path.read_bytes())
    except OSError as error:
        raise Misuse("no-file", f"{path}: {error.strerror}") from error
    except Refusal as refusal:
        raise Misuse("bad-certificate", f"{path} holds no certificate: {refusal.message}") from refusal
