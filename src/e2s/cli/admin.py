"""``e2s admin``: policies, officers, ceremonies and reports of key management; interface and console."""

from __future__ import annotations

import typer

from e2s.cli import admin_policy, admin_report, admin_serve

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Administer key management: policy, officers, reports, console.",
    epilog="Example: e2s admin init --home ra --ca ca",
)

_COMMANDS = (
    ("init", admin_report.init, "e2s admin init --home ra --ca ca"),
    ("report", admin_report.report, "e2s admin report expiring --days 60 --home ra"),
    ("policy", admin_policy.policy, "e2s admin policy registration --history --home ra"),
    ("profiles", admin_policy.profiles, "e2s admin profiles --home ra"),
    ("officers", admin_report.officers, "e2s admin officers --home ra"),
    ("ceremonies", admin_report.ceremonies, "e2s admin ceremonies --home ra"),
    ("requests", admin_report.requests, "e2s admin requests --approve r-1 --officer olga --home ra"),
    ("serve", admin_serve.serve, "e2s admin serve --home ra"),
    ("console", admin_serve.console, "e2s admin console --officer paula"),
)
for _name, _act, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_act)
