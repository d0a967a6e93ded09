"""``e2s pse``: personal security environments, from their definition to their end."""

from __future__ import annotations

from typing import Final

import typer

from e2s.cli import pse_hand, pse_hold, pse_join, pse_kinds

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Make, deliver, renew and destroy personal security environments.",
    epilog="Example: e2s pse join anna.pse http://127.0.0.1:8080 --code-file anna.code",
)

#: Name, act, what it does in a few words, an example.
_COMMANDS: Final = (
    ("kinds", pse_kinds.kinds, "List the kinds of PSE.", ""),
    (
        "define",
        pse_kinds.define,
        "Define a kind of PSE.",
        "ca clerk --key signature:person:ed25519 --key agreement:person-agreement:x25519-aes256gcm:escrow",
    ),
    (
        "invite",
        pse_join.invite,
        "Invite somebody to a PSE.",
        "ca --kind person --name urn:e2s:market:alpha:anna --out anna.code",
    ),
    (
        "join",
        pse_join.join,
        "Get your PSE by a code.",
        "anna.pse http://127.0.0.1:8080 --code-file anna.code",
    ),
    ("renew", pse_join.renew, "Renew a PSE by its own key.", "anna.pse"),
    ("destroy", pse_join.destroy, "End a PSE.", "anna.pse --reason cessationOfOperation"),
    (
        "make",
        pse_hold.make,
        "Make a PSE of your own.",
        "anna.pse --kind person --name urn:e2s:market:alpha:anna",
    ),
    (
        "install",
        pse_hold.install,
        "Put certificates beside their keys.",
        "anna.pse signature.pem agreement.pem",
    ),
    ("list", pse_hold.list_, "List the keys of a PSE.", "anna.pse"),
    ("show", pse_hold.show, "Show what a key's certificate says.", "anna.pse signature"),
    ("phrase", pse_hold.phrase, "Change the pass phrase.", "anna.pse --new-phrase-file new.phrase"),
    ("import", pse_hold.import_, "Take a key from PKCS #12.", "anna.pse mail.p12 --label mail"),
    ("export", pse_hold.export, "Write a key to PKCS #12.", "anna.pse signature --out anna.p12"),
    (
        "ask",
        pse_hand.ask,
        "Ask for a PSE by a file.",
        "anna.pse --kind person --name urn:e2s:market:alpha:anna --code-file anna.code --out anna.ask",
    ),
    ("answer", pse_hand.answer, "Answer such a file.", "ca anna.ask --out anna.parcel"),
    ("take", pse_hand.take, "Take the parcel.", "anna.pse anna.parcel --receipt anna.receipt"),
    ("receipt", pse_hand.receipt, "Record the receipt.", "ca anna.receipt"),
    ("deliveries", pse_hand.deliveries, "List deliveries.", "ca"),
)
for _name, _act, _line, _example in _COMMANDS:
    app.command(_name, short_help=_line, epilog=f"Example: e2s pse {_name} {_example}".rstrip())(_act)
