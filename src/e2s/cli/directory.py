"""``e2s directory``: certificates and lists in LDAP, from the server's configuration to a look-up."""

from __future__ import annotations

import typer

from e2s.cli import directory_find, directory_publish, directory_setup

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Publish certificates and lists in LDAP, and look them up.",
    epilog="Example: e2s directory setup slapd --suffix o=market",
)

_TO = "--to slapd/directory.toml"
_COMMANDS = (
    ("setup", directory_setup.setup, "e2s directory setup slapd --suffix o=market"),
    ("publish", directory_publish.publish, f"e2s directory publish ca {_TO}"),
    ("serve", directory_publish.serve, f"e2s directory serve ca {_TO}"),
    ("status", directory_publish.status, "e2s directory status ca"),
    ("check", directory_publish.check, f"e2s directory check ca {_TO} --repair"),
    ("look-up", directory_find.look_up, "e2s directory look-up anna --in ldap://127.0.0.1:3890"),
)
for _name, _act, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}")(_act)
