"""The protocol's bounded model: no attack with all rules, and one for each rule that is left out."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.model import attacks, endings, roles

SCENARIOS = {scenario.name: scenario for scenario in attacks.SCENARIOS}
LEFT_OUT = [(scenario.name, off) for scenario in attacks.SCENARIOS for off in scenario.left_out]


@pytest.mark.parametrize("name", SCENARIOS)
def test_with_all_rules_no_attack_is_found(name: str) -> None:
    scenario = SCENARIOS[name]
    found = attacks.run(scenario, roles.Rules(), scenario.bound)
    assert found.broken == ""
    assert found.complete


@pytest.mark.parametrize(("name", "off"), LEFT_OUT)
def test_without_a_rule_an_attack_is_found(name: str, off: str) -> None:
    scenario = SCENARIOS[name]
    assert attacks.run(scenario, roles.Rules().without(off), scenario.bound).broken


def test_every_rule_is_left_out_somewhere() -> None:
    left_out = {rule for _, off in LEFT_OUT for rule in off.split("+")}
    assert left_out == {field.name for field in fields(roles.Rules)}
    assert set(endings.LEFT_OUT) == {field.name for field in fields(endings.Rules)}


def test_the_honest_payment_comes_to_its_end() -> None:
    """A model in which nothing happens would find nothing: all reach their last state."""
    scenario = SCENARIOS["a whole payment among honest parties"]
    found = attacks.run(scenario, roles.Rules(), scenario.bound)
    assert {("C1", "end1"), ("M1", "authorised"), ("I1", "held")} <= set(found.reached)
    assert ("G1", "answered") in found.reached
    scenario = SCENARIOS["a gateway asks in a merchant's name"]
    found = attacks.run(scenario, roles.Rules(), scenario.bound)
    assert {("M1", "asking"), ("I1", "held")} <= set(found.reached)


def test_whatever_is_lost_late_or_killed_a_good_end_can_be_reached() -> None:
    ends = endings.explore(endings.Rules())
    assert ends.bad == {}
    assert ends.states > 50_000


@pytest.mark.parametrize(("off", "most"), endings.LEFT_OUT.items())
def test_without_a_rule_some_end_is_bad(off: str, most: int) -> None:
    back = int(off == "lasting_void")
    assert endings.explore(endings.Rules().without(off), most, back=back).bad
