"""``e2s card``: cards in readers and in software, for their holders."""

from __future__ import annotations

import typer

from e2s.cli import card_run, card_use

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Use smartcards, and be one in software.",
    epilog="Example: e2s card status --card my-card",
)

_COMMANDS = (
    ("list", card_use.list_cards, "e2s card list"),
    ("status", card_use.status, "e2s card status --card my-card"),
    ("change-pin", card_use.change_pin, "e2s card change-pin --serial 0c5fd2"),
    ("unblock", card_use.unblock, "e2s card unblock --card my-card --puk-file puk"),
    ("test", card_use.try_out, "e2s card test --card my-card --pin-file pin"),
    (
        "make",
        card_run.make,
        "e2s card make my-card --management-file key --pin-file pin --puk-file puk",
    ),
    ("run", card_run.run, "e2s card run my-card --reader"),
)


@app.callback()
def _group() -> None:
    """Use smartcards, and be one in software."""


for _name, _command, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_command)
