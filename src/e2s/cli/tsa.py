"""``e2s tsa``: time stamps, asked for and checked, and an authority of your own."""

from __future__ import annotations

import typer

from e2s.cli import tsa_ask, tsa_home

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Give, ask for and check time stamps.",
    epilog="Example: e2s tsa ask contract.pdf --url http://tsa.example:28450 --trust root.pem",
)

_COMMANDS = (
    ("query", tsa_ask.query, "e2s tsa query contract.pdf --out contract.tsq"),
    ("ask", tsa_ask.ask, "e2s tsa ask contract.pdf --url http://tsa.example:28450 --trust root.pem"),
    ("verify", tsa_ask.verify, "e2s tsa verify contract.pdf contract.pdf.tst --trust root.pem"),
    ("show", tsa_ask.show, "e2s tsa show contract.pdf.tst"),
    ("init", tsa_home.init, "e2s tsa init --home tsa --name urn:e2s:market:tsa --phrase-file tsa.phrase"),
    ("install", tsa_home.install, "e2s tsa install tsa.pem --home tsa --phrase-file tsa.phrase"),
    ("serve", tsa_home.serve, "e2s tsa serve --home tsa --phrase-file tsa.phrase --port 28450"),
    ("reply", tsa_home.reply, "e2s tsa reply contract.tsq --home tsa --out contract.tsr"),
    ("record", tsa_home.record, "e2s tsa record --home tsa"),
)


@app.callback()
def _group() -> None:
    """Give, ask for and check time stamps."""


for _name, _command, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_command)
