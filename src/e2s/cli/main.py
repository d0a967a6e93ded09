"""The command ``e2s``: groups are imported only when used, and every error ends in one place."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

from e2s.base.errors import E2SError, Misuse, Refusal, Unreachable

#: Command or group: the module whose ``app`` holds it, the name within (empty for the whole), one line.
COMMANDS: Final = {
    "demo": ("e2s.cli.demo", "", "Show E2S at work on this machine."),
    "check": ("e2s.cli.community", "check", "Say what in a community file does not conform."),
    "up": ("e2s.cli.community", "up", "Start every component of a community."),
    "status": ("e2s.cli.community", "status", "Show which components run and answer."),
    "down": ("e2s.cli.community", "down", "Stop every component of a community."),
    "component": ("e2s.cli.community", "component", "Run one component in the foreground."),
    "doctor": ("e2s.cli.community", "doctor", "Say what this machine lacks to run E2S."),
    "catalogue": ("e2s.cli.catalogue", "", "Check and load a merchant's catalogue."),
    "wallet": ("e2s.cli.wallet", "", "Buy with a wallet and look after its orders."),
    "manager": ("e2s.cli.manager", "", "Set limits and check statements as purchasing manager."),
    "evidence": ("e2s.cli.evidence", "", "Show and verify evidence bundles off-line."),
    "audit": ("e2s.cli.audit", "", "Show and verify a party's audit log."),
    "ca": ("e2s.cli.ca", "", "Found and run certification authorities."),
    "ra": ("e2s.cli.ra", "", "Register people and components, and have them certified."),
    "enrol": ("e2s.cli.enrol", "", "Open doors for enrolment, invite, and enrol at one."),
    "pse": ("e2s.cli.pse", "", "Make, deliver, renew and destroy personal security environments."),
    "escrow": ("e2s.cli.escrow", "", "Keep encryption keys in escrow and recover them."),
    "directory": ("e2s.cli.directory", "", "Publish certificates and lists in LDAP, and look them up."),
    "external": ("e2s.cli.external", "", "Trust other providers within limits, and be certified there."),
    "admin": ("e2s.cli.admin", "", "Administer key management: policy, officers, reports, console."),
    "card": ("e2s.cli.card", "", "Use smartcards, and be one in software."),
    "tsa": ("e2s.cli.tsa", "", "Give, ask for and check time stamps."),
    "pki": ("e2s.cli.pki", "", "Judge certificates: path, revocation, policies, purpose and name."),
    "suites": ("e2s.cli.suites", "suites", "Say which suites are permitted where."),
    "cms": ("e2s.cli.cms", "", "Sign, verify, encrypt and decrypt CMS messages."),
}


class _Lazy(TyperGroup):
    """Knows its commands by name and imports a command's module when it is called for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # as Typer exports it
        """The commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # as above
        """Import and give the command; None where the table has none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, name, line = COMMANDS[cmd_name]
        group = typer.main.get_group(importlib.import_module(module).app)
        group.help = group.help or line
        return group.get_command(ctx, name) if name else group

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # as above
        """The commands with their lines, from the table alone."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


app = typer.Typer(
    cls=_Lazy,
    name="e2s",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # costs more than all else here

        print(f"e2s {version('e2s')}")
        raise typer.Exit


@app.callback(epilog="Example: e2s demo purchase")
def e2s(
    *,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """End-to-end security for trade between businesses."""
    del version


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 refused or unanswered, 2 misused."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given, prog_name="e2s")
    except E2SError as error:
        _tell(error, as_json="--json" in given)
        sys.exit(2 if isinstance(error, Misuse) else 1)
    except BrokenPipeError:
        # Who read our output has gone; nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        full = Unreachable("disk-full", "there is no room on the disk; what could not be kept is not done")
        _tell(full, as_json="--json" in given)
        sys.exit(1)


def _tell(error: E2SError, *, as_json: bool) -> None:
    outcome = (
        "refused" if isinstance(error, Refusal) else "misused" if isinstance(error, Misuse) else "unanswered"
    )
    if as_json:
        import json  # only here

        told = {"outcome": outcome, "rule": error.rule, "message": error.message, "facts": error.facts}
        print(json.dumps(told, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"{outcome}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
