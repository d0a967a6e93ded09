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

#: Name, what does it, its line in the list, an example of what follows the name.
_COMMANDS = (
    ("root", ca_founding.root, "Found a root.", "root --name market --phrase-file root.phrase"),
    ("create", ca_founding.create, "Found a CA beneath the root.", "ca --root root --phrase-file ca.phrase"),
    ("prepare", ca_apart.prepare, "Make the key of a CA that is apart from the root.", "ca --out ca.p10"),
    (
        "certify",
        ca_apart.certify,
        "Certify a CA that is apart from the root.",
        "root --request ca.p10 --component ca --out for-ca",
    ),
    (
        "install",
        ca_apart.install,
        "Take what the root certified apart.",
        "ca --from for-ca --root-digest sha-256:2DbQ...",
    ),
    ("issue", ca_issue.issue, "Certify a key.", "ca --profile tls-server --name shop.example"),
    ("request", ca_issue.request, "Make a key and a request.", "--name shop.example"),
    ("renew", ca_issue.renew, "Certify the same key again.", "ca shop.example.pem --out shop-2.pem"),
    ("revoke", ca_withdraw.revoke, "Revoke for good.", "ca shop.example.pem --reason keyCompromise"),
    ("hold", ca_withdraw.hold, "Suspend a certificate.", "ca shop.example.pem"),
    ("release", ca_withdraw.release, "End a suspension.", "ca shop.example.pem"),
    ("crl", ca_withdraw.crl, "Write the newest revocation list.", "ca --out ca.crl"),
    (
        "officers",
        ca_ceremony.officers,
        "List, name and withdraw officers.",
        "root --give urn:e2s:market:authority:olga --right register --at ca",
    ),
    (
        "cross",
        ca_cross.cross,
        "Cross-certify another community.",
        "root --cert their-root.pem --permit dir:O=fair --map high=1.2.3.4",
    ),
    (
        "buying",
        ca_cross.buying,
        "Found a buying organisation's own CA.",
        "alpha-ca --issuer ca --party alpha --manager albert",
    ),
    (
        "adopt",
        ca_ceremony.adopt,
        "Take a newer certificate of such a CA.",
        "alpha-ca --cert newer.pem --root-cert root.pem",
    ),
    (
        "replace",
        ca_recovery.replace,
        "Replace a CA whose key is lost.",
        "ca-2 --old ca --root root --reason keyCompromise",
    ),
    (
        "recover-root",
        ca_recovery.recover_root,
        "Replace a lost root, or rehearse it.",
        "drill --old root --ca ca --rehearse",
    ),
    ("list", ca_show.list_, "List a CA's certificates.", "ca --state good"),
    ("show", ca_show.show, "Show a CA or a certificate.", "ca shop.example.pem"),
    ("profiles", ca_show.profiles, "List the profiles.", ""),
    ("lint", ca_show.lint, "Check a certificate by the rules.", "shop.example.pem --profile tls-server"),
    ("record", ca_show.record, "Print the ceremonies' records.", "root"),
    ("export", ca_serve.export, "Write static files for a web server.", "ca www"),
    ("serve", ca_serve.serve, "Serve lists, look-up and OCSP.", "ca --port 8080"),
    ("answer", ca_serve.answer, "Answer registration through a folder.", "ca spool --once"),
    ("key", ca_show.key, "Say where a CA's key lives.", "root"),
)
for _name, _act, _line, _example in _COMMANDS:
    _whole = f"Example: e2s ca {_name} {_example}".rstrip()
    app.command(_name, short_help=_line, epilog=_whole)(_act)
