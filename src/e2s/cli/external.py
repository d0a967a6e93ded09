"""``e2s external``: other providers: trust in them within limits, their users here, our keys there."""

from __future__ import annotations

from typing import Final

import typer

from e2s.cli import external_enrol, external_trust, external_users

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Trust other providers within limits, and be certified there.",
    epilog="Example: e2s external list ca",
)

#: Name, act, what it does in a few words, an example.
_COMMANDS: Final = (
    (
        "trust",
        external_trust.trust,
        "Trust a provider within limits.",
        "ca partner --root partner.pem --purpose email --permit mail:partner.example --officer petra",
    ),
    ("forget", external_trust.forget, "Trust a provider no more.", "ca partner --officer petra"),
    ("undo", external_trust.undo, "Take a record back.", "ca 3 --officer petra"),
    ("list", external_trust.list_, "List providers and rules.", "ca"),
    ("records", external_trust.records_, "List the records.", "ca"),
    ("export", external_trust.export, "Write the records to a file.", "ca --out external.records"),
    (
        "test",
        external_trust.judged,
        "Judge a certificate of theirs.",
        "ca anna.pem --purpose email --crl partner.crl",
    ),
    (
        "map",
        external_users.map_,
        "Say who their users are here.",
        "ca partner 'mail:*@partner.example' --party partner --officer petra",
    ),
    (
        "unmap",
        external_users.unmap,
        "Say it no more.",
        "ca partner 'mail:*@partner.example' --party partner --officer petra",
    ),
    ("users", external_users.users, "List users who have a name.", "ca"),
    (
        "evidence",
        external_users.evidence,
        "Identify a case's holder by her certificate.",
        "ca 1 anna.pem --home ra --crl partner.crl --officer olga",
    ),
    (
        "enrol",
        external_enrol.enrol,
        "Have a key certified there.",
        "mail --est https://ra.partner.example --name anna@alpha.example --ca partner.pem --code-file code",
    ),
    (
        "renew",
        external_enrol.renew,
        "Have it certified again.",
        "mail --cmp http://ra.partner.example --ca roots",
    ),
    ("revoke", external_enrol.revoke, "Have it revoked.", "mail --cmp http://ra.partner.example"),
)
for _name, _act, _line, _example in _COMMANDS:
    app.command(_name, short_help=_line, epilog=f"Example: e2s external {_name} {_example}")(_act)
