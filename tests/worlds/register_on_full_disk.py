"""A CA whose disk is full: it refuses, loses nothing, and goes on once there is room; run as a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.crypto.certificates import Certificate
from e2s.security.pki.ca import Authority
from tests.fire import disks
from tests.worlds.pki import make_pki
from tests.worlds.register_faults import KEYS, OFFICER, Notes, faults, started


def _issue(ca: Authority, notes: Notes, many: int = 8) -> list[Certificate]:
    made = [
        ca.issue("buyer", key.public_key(), ("urn:e2s:market:volt:ada",), officer=OFFICER)
        for key in KEYS[:many]
    ]
    for one in made:
        notes.note("issued", sha256(one.der).hexdigest())
    return made


def _revoke(ca: Authority, made: list[Certificate]) -> None:
    for one in made:
        ca.revoke(one.serial, "superseded", officer=OFFICER)


def _rule(act: Callable[[], object]) -> str:
    """What an act was refused for; it is tried until it is."""
    for _ in range(2000):
        try:
            act()
        except E2SError as error:
            return error.rule
    return ""


def main(folder: Path) -> dict[str, object]:
    disk, pki = folder / "disk", make_pki()
    disk.mkdir()
    notes = Notes(folder)
    disks.mount(disk)
    ca = started(disk, pki)
    made = _issue(ca, notes, 24)
    lists = ca.current_lists()
    disks.full(disk)
    refused = {
        "issue": _rule(lambda: _issue(ca, notes)),
        "revoke": _rule(lambda: _revoke(ca, made)),
    }
    ca.clock.forward(hours=13)  # type: ignore[attr-defined]
    refused["list"] = _rule(ca.current_lists)
    disks.free(disk)
    _issue(ca, notes, 1)
    numbers = [one.number for one in ca.current_lists()]
    assert min(numbers) > max(one.number for one in lists)
    ca.close()
    (disk / "released").write_text((folder / "released").read_text())
    found = faults(disk, pki)
    disks.unmount(disk)
    return {"faults": found, "refused": refused, "after": "issued"}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
