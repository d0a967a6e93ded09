"""A key that key management makes goes into escrow before it is released, and comes back from there the same."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.cms import open_sealed, seal
from e2s.crypto.openers import KeyOpener
from e2s.security.environments import store as deliveries
from e2s.security.environments.holding import Edges
from e2s.security.environments.joining import code_with_root, join, read_invitation
from e2s.security.environments.kinds import shipped
from e2s.security.environments.service import door
from e2s.security.escrow import store
from e2s.security.escrow.deposits import Depositor
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from tests.worlds import enrolment, escrow
from tests.worlds.whole import CHEAP


@pytest.fixture
def both(tmp_path):
    desk = enrolment.World(tmp_path)
    vault = escrow.World(tmp_path, desk.pki)
    yield desk, vault
    vault.vault.database.close()
    desk.close()


def employed(desk, folder, deposit) -> SoftwarePse:
    """Anna gets the PSE of an employee."""
    setting = desk.setting(deposit=deposit, crls=desk.lists.crls, origin="http://enrol")
    handler: Any = door(desk.desk, setting)

    class Wire:
        def send(self, _origin, request):
            return handler(replace(request, client="192.0.2.1"))

    try:
        reference, secret = desk.invite(shipped()["employee"].profile, (enrolment.ANNA,))
        with handler.office.database.transaction() as connection:
            deliveries.mean(connection, reference, "employee", "{}")
        invitation = read_invitation(code_with_root(reference, secret, desk.pki.root))
        edges = Edges(clock=desk.clock, random=secrets.token_bytes, cost=CHEAP)
        join(folder / "anna.pse", Phrase("anna's"), invitation, "http://enrol", Wire(), edges)
    finally:
        handler.close()
    return SoftwarePse.open(folder / "anna.pse", Phrase("anna's"))


def test_what_was_sealed_to_her_opens_when_her_pse_is_lost(both, tmp_path):
    desk, vault = both
    pse = employed(desk, tmp_path, Depositor(vault=vault.vault))
    certificate = pse.certificate("agreement")
    letter = seal(b"the contract of May", oids.DATA, [certificate], secrets.token_bytes)
    pse.close()
    (tmp_path / "anna.pse").unlink()
    with vault.vault.database.reading() as connection:
        (row,) = store.deposits(connection, holder=enrolment.ANNA)
    case = vault.open(row.id)
    vault.approve(case)
    vault.clock.forward(hours=80)
    vault.release(case)
    (key,) = vault.recover(case)
    assert open_sealed(letter, KeyOpener(certificate, key))[1] == b"the contract of May"


def test_where_the_escrow_refuses_nothing_is_released(both, tmp_path):
    """Without a policy the vault keeps nothing."""
    desk, _ = both
    (tmp_path / "new").mkdir()
    new = escrow.World(tmp_path / "new", desk.pki, governed=False)
    with pytest.raises(Refusal, match="no-policy"):
        employed(desk, tmp_path, Depositor(vault=new.vault))
    assert not (tmp_path / "anna.pse").exists()
    assert new.kinds() == ["refused"]
    new.vault.database.close()
