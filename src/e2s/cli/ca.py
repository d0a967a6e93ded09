"""``e2s ca``: certification authorities, from the root's ceremony to the daily work."""

from __future__ import annotations

import typer

from e2s.cli import (
    ca_apart,
    ca_ceremony,
    ca_cross,
    ca_founding,
    ca_issue,
    ca_recovery,
    ca_serve,
    ca_show,
    ca_withdraw,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Found and run certification authorities.",
    epilog="Example: e2s ca root root --name market --phrase-file root.phrase",
)

_COMMANDS = (
    (
        "root",
        ca_founding.root,
        "e2s ca root root --name market --phrase-file root.phrase",
    ),
    (
        "create",
        ca_founding.create,
        "e2s ca create ca --root root --phrase-file ca.phrase",
    ),
    ("prepare", ca_apart.prepare, "e2s ca prepare ca --out ca.p10"),
    ("certify", ca_apart.certify, "e2s ca certify root --request ca.p10 --component ca --out for-ca"),
    ("install", ca_apart.install, "e2s ca install ca --from for-ca --root-digest sha-256:2DbQ..."),
    (
        "issue",
        ca_issue.issue,
        "e2s ca issue ca --profile tls-server --name shop.example",
    ),
    ("request", ca_issue.request, "e2s ca request --name shop.example"),
    ("renew", ca_issue.renew, "e2s ca renew ca shop.example.pem --out shop-2.pem"),
    (
        "revoke",
        ca_withdraw.revoke,
        "e2s ca revoke ca shop.example.pem --reason keyCompromise",
    ),
    ("hold", ca_withdraw.hold, "e2s ca hold ca shop.example.pem"),
    ("release", ca_withdraw.release, "e2s ca release ca shop.example.pem"),
    ("crl", ca_withdraw.crl, "e2s ca crl ca --out ca.crl"),
    (
        "officers",
        ca_ceremony.officers,
        "e2s ca officers root --give urn:e2s:market:authority:olga --right register --at ca",
    ),
    (
        "cross",
        ca_cross.cross,
        "e2s ca cross root --cert their-root.pem --permit dir:O=fair --map high=1.2.3.4",
    ),
    (
        "buying",
        ca_cross.buying,
        "e2s ca buying alpha-ca --issuer ca --party alpha --manager albert",
    ),
    ("adopt", ca_ceremony.adopt, "e2s ca adopt alpha-ca --cert newer.pem --root-cert root.pem"),
    (
        "replace",
        ca_recovery.replace,
        "e2s ca replace ca-2 --old ca --root root --reason keyCompromise",
    ),
    (
        "recover-root",
        ca_recovery.recover_root,
        "e2s ca recover-root drill --old root --ca ca --rehearse",
    ),
    ("list", ca_show.list_, "e2s ca list ca --state good"),
    ("show", ca_show.show, "e2s ca show ca shop.example.pem"),
    ("profiles", ca_show.profiles, "e2s ca profiles"),
    ("lint", ca_show.lint, "e2s ca lint shop.example.pem --profile tls-server"),
    ("record", ca_show.record, "e2s ca record root"),
    ("export", ca_serve.export, "e2s ca export ca public"),
    ("serve", ca_serve.serve, "e2s ca serve ca --port 8080"),
    ("answer", ca_serve.answer, "e2s ca answer ca spool --once"),
    ("key", ca_show.key, "e2s ca key root"),
)
for _name, _act, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_act)
