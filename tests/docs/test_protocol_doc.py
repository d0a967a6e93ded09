"""docs/protocol.md is the product's specification: its tables are the code's, and its attacks are tests."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from e2s.commerce.bankcard.roles import PARTS
from e2s.crypto import oids

HERE = Path(__file__).parents[2]
TEXT = (HERE / "docs/protocol.md").read_text()

#: The attacks of the protocol, by what they are against.
ATTACKS = """
replay_login stale_page altered_page suite_stripped login_relayed_to_other_merchant answer_for_other_buyer
unknown_key_share reflected_record replayed_record reordered_record sid_alone foreign_tls_key plain_downgrade
invalid_point nonce_after_restart card_removed_no_presence outside_injects revoked_in_session
offer_of_other_organisation price_changed_after_view altered_line false_total acceptance_replayed
two_acceptances_one_offer malleated_signature_duplicate late_acceptance backdated_confirmation
stripped_inner_signature wrong_label wrong_audience wrong_eku other_community expired_signer equivocating_merchant
set_gateway_swap set_merchant_swap other_holders_ds_same_xid ds_for_other_contract pi_copied_by_other_holder
xid_reused amount_raised double_authorisation second_xid_live gateway_invents_payment merchant_claims_approval
capture_over_hold double_capture capture_after_reversal lines_differ_from_oi ds_after_until
key_handler_wrong_component
pan_guess_from_hpi order_guess_from_hoi order_guess_from_cid pan_in_merchant_home line_at_gateway class_leak
lost_confirmation lost_pres lost_capres kill_between_sign_and_send inquiry_races_authorisation clock_set_back
hold_expires_while_delivering buyer_gone_after_ds merchant_gone_after_authorisation tsa_down
file_dropped file_added token_swapped certificate_swapped trade_mixed revoked_before_stamp
""".split()


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("protocol_tables", HERE / "docs/protocol_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tests() -> set[str]:
    files = (HERE / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"(?m)^def test_(\w+)\(", file.read_text())}


def test_the_tables_are_those_of_the_code(tables: ModuleType) -> None:
    assert tables.renewed(TEXT) == TEXT, "run: python docs/protocol_tables.py"


def test_every_document_with_every_member_is_described(tables: ModuleType) -> None:
    for group in tables.FORMS.values():
        for label, form in group.items():
            part = TEXT[TEXT.index(f"**`{label}`**") :]
            part = part[: part.find("**`", 4)] if "**`" in part[4:] else part
            around = {"type", "from", "to", "at", "until", "trade"} if "from" in form.members else {"type"}
            for member in {*form.members, *form.optional} - around:
                assert f"| `{member}`" in part, (label, member)


def test_no_meaning_is_left_over(tables: ModuleType) -> None:
    used = set()
    for group in tables.FORMS.values():
        for label, form in group.items():
            for member in (*form.members, *form.optional):
                own = f"{label.rpartition('/')[2]}.{member}"
                used.add(own if own in tables.MEANINGS else member)
    assert set(tables.MEANINGS) <= used


def test_every_act_of_a_bundle_is_described(tables: ModuleType) -> None:
    labels = {label for group in tables.FORMS.values() for label in group}
    assert {f"e2s/1/{kind}" for kind in PARTS} <= labels


def test_every_role_has_its_key(tables: ModuleType) -> None:
    numbers = {int(number) for number in re.findall(r"(?m)^\| (?:Ba|[A-Z]) \|[^|]+\| (\d+) \|", TEXT)}
    assert numbers == set(oids.ROLES.values())
    assert oids.ARC in TEXT


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_described_and_is_a_test(attack: str, tests: set[str]) -> None:
    assert f"`{attack}`" in TEXT
    assert attack in tests


def test_no_other_attack_is_claimed() -> None:
    part = TEXT[TEXT.index("### Attacks") : TEXT.index("### The model")]
    assert set(re.findall(r"`(\w+)`", part)) - {"test_"} == set(ATTACKS)
