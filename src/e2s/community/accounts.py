"""Buyers and managers get a home that is theirs: settings, sealed card, and an account at the bank (6.2.2).

Settings name files of the community by relative paths, so that a home can be moved with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2s.client.wallet.card import seal_card
from e2s.client.wallet.home import MANAGER_FILE, SUITES_FILE, WALLET_FILE, toml
from e2s.commerce.bankcard import cards
from e2s.community.description import Component
from e2s.community.kinds import MERCHANT
from e2s.community.making import Made
from e2s.community.publishers import ca_labels
from e2s.security.keys.durable import replace_file


def open_accounts(made: Made, tell: Callable[[str], None]) -> None:
    """Appoint each organisation's managers at the bank, and write every person's settings."""
    community = made.community
    people = [one for one in community.components.values() if one.person]
    managers = [one for one in people if one.kind == "manager"]
    if managers:
        with made.bank() as (bank, _):
            for manager in managers:
                organisation = community.urn(manager.party)
                agreement, *chain = made.whole.certificates(manager.name, "manager-agreement")
                cards.open_account(bank, organisation, made.currency(manager.party))
                cards.appoint_manager(bank, organisation, agreement, chain)
                tell(f"{bank.name} takes orders for {organisation} from {agreement.name}")
    for person in people:
        home = made.whole.component(person).path
        if person.kind == "wallet":
            _seal_record(made, person)
            if community.suites:
                rows = made.whole.file.with_name(community.suites).read_bytes()
                replace_file(home / SUITES_FILE, rows)
            replace_file(home / WALLET_FILE, toml(wallet_settings(made, person)).encode())
        else:
            replace_file(home / MANAGER_FILE, toml(manager_settings(made, person)).encode())


def _seal_record(made: Made, wallet: Component) -> None:
    record = made.records.pop(wallet.name)
    (agreement, *_) = made.whole.certificates(wallet.name, "agreement")
    path = made.whole.component(wallet).path / "card.cms"
    replace_file(path, seal_card(record, agreement, made.tools.random))


def wallet_settings(made: Made, wallet: Component) -> dict[str, Any]:
    """What ``wallet.toml`` says."""
    community = made.community
    agreed = {one.merchant for one in community.contracts if one.organisation == wallet.party}
    shops = [
        {
            "name": community.urn(party.name),
            "origin": shop.origin,
            "title": party.title or party.name,
            "plain": not shop.tls,
        }
        for party in community.parties.values()
        if party.kind == MERCHANT and party.name in agreed
        for shop in community.of_party(party.name, "merchant-outside")
    ]
    stamps = [one.origin for one in community.peers(wallet) if one.kind == "time-stamping"]
    return {
        **_person(made, wallet),
        "location": wallet.location,
        **({"suites": SUITES_FILE} if community.suites else {}),
        "cost_centre": wallet.settings.get("cost-centre", "-"),
        "deliver_to": wallet.settings.get(
            "deliver-to", community.parties[wallet.party].title or wallet.party
        ),
        "time_stamps": stamps,
        "shop": shops,
        "revocation": _revocation(made, wallet),
    }


def manager_settings(made: Made, manager: Component) -> dict[str, Any]:
    """What ``manager.toml`` says."""
    home = made.whole.component(manager).path
    desk = made.desk
    wallets = made.community.of_party(manager.party, "wallet")
    return {
        **_person(made, manager),
        "currency": made.currency(manager.party),
        "wallets": [_relative(made.whole.component(one).path, home) for one in wallets],
        "issuer": [
            {
                "name": made.community.urn(desk.party),
                "origin": desk.origin,
                "signing": _relative(made.whole.public(desk.name, "issuer"), home),
                "agreement": _relative(made.whole.public(desk.name, "issuer-agreement"), home),
            }
        ],
        "holder": [
            {"title": one.person, "certificate": _relative(made.whole.public(one.name, "card"), home)}
            for one in wallets
        ],
        "revocation": _revocation(made, manager),
    }


def _person(made: Made, component: Component) -> dict[str, Any]:
    community = made.community
    title = community.parties[component.party].title or component.party
    settings: dict[str, Any] = {
        "person": community.urn(component.party, component.person),
        "organisation": community.urn(component.party),
        "title": f"{component.person}, {title}",
        "anchors": _relative(made.whole.root, made.whole.component(component).path),
    }
    if component.settings.get("proxy"):
        settings["proxy"] = component.settings["proxy"]
    return settings


def _revocation(made: Made, component: Component) -> list[dict[str, Any]]:
    """Each CA's certificate, and where its list is published."""
    home = made.whole.component(component).path
    return [
        {"origin": publisher.origin, "issuer": _relative(made.whole.public(one.name, label), home)}
        for one, label, publisher in ca_labels(made.community)
        if made.whole.public(one.name, label).exists()
    ]


def _relative(path: Path, home: Path) -> str:
    return os.path.relpath(path, home)
