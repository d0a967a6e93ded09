"""``e2s enrol``: doors at which keys are certified, who may come to them, and what an officer has to say."""

from __future__ import annotations

from typing import Final

import typer

from e2s.cli import enrol_ask, enrol_case, enrol_decide, enrol_events, enrol_invite, enrol_serve

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Open doors for enrolment, invite, and enrol at one.",
    epilog="Example: e2s enrol serve ca --port 8080 --phrase-file ca.phrase",
)

#: Name, act, what it does in a few words, an example.
_COMMANDS: Final = (
    ("serve", enrol_serve.serve, "Open the doors of enrolment.", "ca --port 8080"),
    (
        "invite",
        enrol_invite.invite,
        "Invite somebody, or a machine.",
        "ca --profile person --name urn:e2s:market:alpha:anna --out anna.code",
    ),
    ("invitations", enrol_invite.invitations, "List invitations.", "ca"),
    ("withdraw", enrol_invite.withdraw, "Take an invitation back.", "ca 7w3k9d2m"),
    ("requests", enrol_decide.requests, "List what waits for an officer.", "ca"),
    ("approve", enrol_decide.approve, "Say yes to a request.", "ca e-5Xk... --officer oskar"),
    ("decline", enrol_decide.decline, "Say no to a request.", 'ca e-5Xk... --officer oskar --why "not ours"'),
    (
        "case",
        enrol_case.case,
        "Make a request a case of registration.",
        'ca e-5Xk... --home ra --officer olga --title "Anna Berg"',
    ),
    ("events", enrol_events.events, "Show what happened at the doors.", "ca --last 20"),
    (
        "request",
        enrol_ask.request,
        "Enrol at a door.",
        "http://127.0.0.1:8080 --name urn:e2s:market:alpha:anna --code-file anna.code",
    ),
)
for _name, _act, _line, _example in _COMMANDS:
    app.command(_name, short_help=_line, epilog=f"Example: e2s enrol {_name} {_example}")(_act)
