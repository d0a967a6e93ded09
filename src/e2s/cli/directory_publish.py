"""``e2s directory publish``, ``serve``, ``status`` and ``check``: a CA's directory is kept up to date."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from e2s.cli.directory_home import (
    CaFolders,
    Json,
    KeepEnded,
    PasswordFile,
    State,
    Suffix,
    To,
    Trust,
    directory_of,
    local,
    opened,
)
from e2s.cli.report import document, say
from e2s.security.directory import store
from e2s.security.directory.checking import Difference, differences, repair
from e2s.security.directory.names import write_dn
from e2s.security.directory.publishing import Sent


def publish(
    folders: CaFolders,
    to: To,
    suffix: Suffix = "",
    password_file: PasswordFile = None,
    trust: Trust = None,
    state: State = None,
    keep_ended: KeepEnded = 0,
    as_json: Json = False,
) -> None:
    """Bring the directory up to date with the registers of its CAs, once.

    What the directory refused before is tried again.  Where it does not answer the status is 1, and what was
    not sent waits for the next time.
    """
    directory = directory_of(to, suffix, password_file, trust)
    with opened(folders, directory, state=state, keep_ended=keep_ended) as one:
        with one.mirrors[0].database.reading() as connection:
            before = [key for key in store.refused(connection) if "=" in key]
        one.mirrors[0].want(before)
        _tell(one.publisher.all(), as_json=as_json)


def serve(
    folders: CaFolders,
    to: To,
    suffix: Suffix = "",
    password_file: PasswordFile = None,
    trust: Trust = None,
    state: State = None,
    keep_ended: KeepEnded = 0,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Keep the directory up to date until SIGTERM.

    A directory that is away is asked again after a second, then after twice as long, up to a minute; nothing
    is lost meanwhile.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    directory = directory_of(to, suffix, password_file, trust)
    with opened(folders, directory, state=state, keep_ended=keep_ended) as one:
        if not as_json:
            who = ", ".join(each.component for each in one.seen)
            say(f"publishing {who} in {write_dn(directory.suffix)} of {directory.address.uri}")
        while not stop.is_set():
            one.put_root_lists()
            sent = one.publisher.tick()
            if sent != Sent():
                _tell(sent, as_json=as_json)
                continue
            stop.wait(every)


def status(folders: CaFolders, state: State = None, as_json: Json = False) -> None:
    """Say how far the CAs were followed, and what waits; no server is asked.

    Status 1 while something waits, or was refused by the directory.
    """
    with local(folders, state) as (database, registers), database.reading() as connection:
        behind = {
            own.subject: register.last() - store.followed(connection, own.digest)
            for own, register in registers
        }
        told: dict[str, object] = {
            "suffix": store.setting(connection, "suffix"),
            **store.counts(connection),
            "lost": store.setting(connection, "lost directory"),
        }
        refused = store.refused(connection)
    if as_json:
        document({**told, "behind": behind, "refused": refused})
    else:
        for name, value in told.items():
            say(f"{name + ':':13} {value}".rstrip())
        for name, number in behind.items():
            say(f"{'behind:':13} {number} changes of {name}")
        for key, rule in refused.items():
            say(f"{'refused:':13} {key} ({rule})")
    raise typer.Exit(0 if not any(behind.values()) and not told["waiting"] and not refused else 1)


def check(
    folders: CaFolders,
    to: To,
    suffix: Suffix = "",
    password_file: PasswordFile = None,
    trust: Trust = None,
    state: State = None,
    keep_ended: KeepEnded = 0,
    mend: Annotated[bool, typer.Option("--repair", help="Let what differs stand as it is to.")] = False,
    as_json: Json = False,
) -> None:
    """Compare the directory with the CAs' registers, entry by entry; without --repair nothing is written.

    Entries without certificates and lists are not looked at: others may keep theirs in the same tree.  Status
    0 when nothing differs, or all was repaired.
    """
    directory = directory_of(to, suffix, password_file, trust)
    with opened(folders, directory, state=state, keep_ended=keep_ended) as one:
        noted = sum(each.differing() for each in one.mirrors)
        if mend:
            for each in one.mirrors if noted else ():
                each.begin_again()
            one.publisher.all()
        found = list(differences(one.session, one.mirrors[0], one.sender))
        mended = repair(found, one.mirrors[0], one.publisher) if mend else 0
        left = list(differences(one.session, one.mirrors[0], one.sender)) if mended else found
    _compared(found, noted, mended, as_json=as_json)
    raise typer.Exit(0 if not (left if mend else found) and (mend or not noted) else 1)


def _compared(found: list[Difference], noted: int, mended: int, *, as_json: bool) -> None:
    if as_json:
        rows = [{"key": one.key, "kind": one.kind, "attributes": one.attributes} for one in found]
        document({"differences": rows, "register": noted, "repaired": mended})
        return
    for one in found:
        say(f"{one.kind:8} {one.key}  {' '.join(one.attributes)}".rstrip())
    if noted:
        say(f"{noted} certificates are noted otherwise than in the register")
    say(f"{len(found)} entries differ{f', {mended} repaired' if mended else ''}")


def _tell(sent: Sent, *, as_json: bool) -> None:
    if as_json:
        document({"standing": sent.standing, "gone": sent.gone, "refused": sent.refused})
    else:
        refused = f", {sent.refused} refused by the directory" if sent.refused else ""
        say(f"{sent.standing} entries sent, {sent.gone} taken away{refused}")
