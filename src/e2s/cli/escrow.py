"""``e2s escrow``: keys that open what was sealed are kept sealed, and given back by several officers."""

from __future__ import annotations

from typing import Final

import typer

from e2s.cli import escrow_case, escrow_judge, escrow_keep, escrow_setup

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Keep encryption keys in escrow and recover them.",
    epilog="Example: e2s escrow create vault --from ca --name urn:e2s:market:authority:escrow",
)

#: Name, act, an example of what follows the name.
_COMMANDS: Final = (
    ("create", escrow_setup.create, "vault --from ca --name urn:e2s:market:authority:escrow"),
    (
        "policy",
        escrow_setup.policy,
        '--keeper k1.pem --keeper k2.pem --keeper k3.pem --jurisdiction DE --location "Bonn" --pse pia.pse',
    ),
    ("deposit", escrow_keep.deposit, "--home vault --pse anna.pse"),
    ("list", escrow_keep.list_, "--home vault --cases"),
    (
        "open",
        escrow_case.open_,
        '--cert anna.pem --number 7/26 --basis absence --reason "ill" --recipient lena.pem --pse rita.pse',
    ),
    ("approve", escrow_case.approve, "CASE --home vault --pse k1.pse"),
    ("stop", escrow_case.stop, 'CASE --why "I am back" --home vault --pse anna.pse'),
    ("release", escrow_case.release, "CASE --home vault"),
    ("recover", escrow_case.recover, "CASE --home vault --pse lena.pse --out anna-recovered.pse"),
    ("transcript", escrow_judge.transcript, "CASE --home vault --out case.cms"),
    ("verify", escrow_judge.verify, "case.cms --trust root.pem"),
    ("compare", escrow_judge.compare, "ours.json theirs.json --trust root.pem --trust their-root.pem"),
    ("rehearse", escrow_keep.rehearse, "--home vault --pse rita.pse"),
    ("reshare", escrow_keep.reshare, "--home vault --pse k1.pse"),
)
for _name, _act, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: e2s escrow {_name} {_example}")(_act)
