"""One community's keys for all wallet tests; a fresh scene for each."""

from __future__ import annotations

import pytest

from tests.client.parties import Keys, Parties, Scene, make_keys
from tests.worlds.pki import SetClock


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@pytest.fixture
def parties(keys) -> Parties:
    return Parties(keys, SetClock())


@pytest.fixture
def scene(parties, tmp_path):
    made = Scene(parties, tmp_path / "wallet")
    yield made
    made.wallet.close()
