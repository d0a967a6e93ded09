"""``e2s ra``: registration, from an officer's key to the certificate in the holder's hand."""

from __future__ import annotations

import typer

from e2s.cli import ra_approve, ra_bulk, ra_case, ra_setup, ra_withdraw

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Register people and components, and have them certified.",
    epilog="Example: e2s ra init ra --from ca --spool spool",
)

_COMMANDS = (
    ("init", ra_setup.init, "e2s ra init ra --from ca --spool spool"),
    ("officer", ra_setup.officer, "e2s ra officer olga --name urn:e2s:market:authority:olga"),
    (
        "open",
        ra_case.open_,
        'e2s ra open --profile person --party alpha --title "Anna Berg" --request anna.pem --officer olga',
    ),
    (
        "evidence",
        ra_case.evidence,
        'e2s ra evidence CASE --kind passport --issuer Utopia --place "front desk" --officer olga',
    ),
    ("name", ra_case.name, "e2s ra name CASE anna-berg --officer olga"),
    ("approve", ra_approve.approve, "e2s ra approve CASE --officer olga"),
    ("refuse", ra_case.refuse, 'e2s ra refuse CASE --why "the photograph is another\'s" --officer olga'),
    ("cases", ra_case.cases, "e2s ra cases --state named"),
    ("show", ra_case.show, "e2s ra show CASE"),
    ("bulk", ra_bulk.bulk, "e2s ra bulk staff.csv --dry-run --officer olga"),
    ("submit", ra_approve.submit, "e2s ra submit --wait 10"),
    ("deliver", ra_case.deliver, "e2s ra deliver CASE --out anna.pem --officer olga"),
    ("withdraw", ra_withdraw.withdraw, "e2s ra withdraw CASE --reason keyCompromise --officer olga"),
    ("hold", ra_withdraw.hold, "e2s ra hold anna.pem --key anna.key"),
    ("release", ra_withdraw.release, "e2s ra release CASE --officer olga"),
    ("serve", ra_setup.serve, "e2s ra serve --home ra"),
)
for _name, _act, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_act)
