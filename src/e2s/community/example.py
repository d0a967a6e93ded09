"""The demonstration community of figure 2.1: two buying organisations, a merchant, two banks, one authority.

Written as a community file, so that it is read, checked and started like any other.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final, TypeAlias

_PLAIN: Final = "loopback of one machine; every message is signed and sealed end to end"
_CA: Final = "authority-ca"
_REPOSITORY: Final = "authority-repository"
_REGISTRATION: Final = "authority-registration"
_ENROLMENT: Final = "authority-enrolment"
_STAMPS: Final = ("authority-stamps-1", "authority-stamps-2")

_PARTIES: Final = (
    ("alpha", "buying-organisation", "Alpha Instruments"),
    ("beta", "buying-organisation", "Beta Robotics"),
    ("volt", "merchant", "Volt Components"),
    ("acquirer", "acquirer", "Acquiring Bank"),
    ("issuer", "issuer", "Issuing Bank"),
    ("authority", "certification-authority", "Components Market Authority"),
)

_Row: TypeAlias = tuple[str, str, str, str, list[str], list[str], str]

# name, party, kind, compartment, features, talks to (the party's sequencer is added), person
_COMPONENTS: Final[tuple[_Row, ...]] = (
    (_CA, "authority", "certification-authority", "ca", ["key-management"], [], ""),
    (_REPOSITORY, "authority", "repository", "public", ["key-management"], [_CA], ""),
    (
        _REGISTRATION,
        "authority",
        "registration",
        "registration",
        ["key-management"],
        [_CA, _REPOSITORY],
        "",
    ),
    (_ENROLMENT, "authority", "enrolment", "enrolment", ["key-management"], [_CA, _REPOSITORY], ""),
    (_STAMPS[0], "authority", "time-stamping", "stamps-1", ["time-stamps"], [_ENROLMENT, _REPOSITORY], ""),
    (_STAMPS[1], "authority", "time-stamping", "stamps-2", ["time-stamps"], [_ENROLMENT, _REPOSITORY], ""),
    ("issuer-desk", "issuer", "issuer", "payment", ["payment"], [_REPOSITORY], ""),
    ("acquirer-gateway", "acquirer", "gateway", "payment", ["payment"], ["issuer-desk", _REPOSITORY], ""),
    ("volt-keys", "volt", "merchant-key-handler", "keys", [], [], ""),
    (
        "volt-payment",
        "volt",
        "merchant-payment",
        "payment",
        ["payment"],
        ["volt-keys", "acquirer-gateway", _REPOSITORY],
        "",
    ),
    (
        "volt-purchasing",
        "volt",
        "merchant-purchasing",
        "purchasing",
        ["purchasing"],
        ["volt-keys", "volt-payment", *_STAMPS, _REPOSITORY],
        "",
    ),
    (
        "volt-shop",
        "volt",
        "merchant-outside",
        "outside",
        ["web-session"],
        ["volt-purchasing", _ENROLMENT, _REPOSITORY],
        "",
    ),
    (
        "volt-catalogue",
        "volt",
        "merchant-catalogue",
        "catalogue",
        ["catalogue-upload"],
        ["volt-keys", "volt-purchasing", "volt-shop", _REPOSITORY],
        "",
    ),
)
_BUYERS: Final = (("alpha", "anna", "albert", "5000.00"), ("beta", "bruno", "berta", "2000.00"))
_OFFICERS: Final = ("olga", "oskar")
_CONTRACTS: Final = (
    ("alpha", "12.5", "Frame contract of 2026: 12.5 per cent on all parts, payment by card"),
    ("beta", "3", "List prices less 3 per cent, payment by card"),
)


def example_file(ports: Iterator[int]) -> str:
    """The community file as text, each component listening on loopback at the next of ``ports``."""
    lines = [
        "# Made by `e2s demo`: every party on one machine, each component a process of its own.",
        "[community]",
        'name = "components-market"',
        'title = "Components market"',
        "",
        "[trust]",
        'authority = "authority"',
        'root_key = "off-line"',
        "",
    ]
    for name, kind, title in _PARTIES:
        lines += [f"[party.{name}]", f"kind = {json.dumps(kind)}", f"title = {json.dumps(title)}", ""]
    for name, _, _ in _PARTIES:
        lines += _component((f"{name}-audit", name, "audit", "audit", ["audit"], [], ""), next(ports))
    for component in (*_COMPONENTS, *_people()):
        lines += _component(component, next(ports))
        if component[2] == "wallet":
            limit = next(limit for party, _, _, limit in _BUYERS if party == component[1])
            lines[-1:] = [f"settings = {{ limit = {json.dumps(limit)} }}", ""]
    for organisation, discount, text in _CONTRACTS:
        lines += [
            f"[contract.volt.{organisation}]",
            f"text = {json.dumps(text)}",
            f'discount = "{discount}"',
            "",
        ]
    return "\n".join(lines)


def _people() -> Iterator[_Row]:
    for party, buyer, manager, _ in _BUYERS:
        needs = ["volt-shop", "issuer-desk", *_STAMPS, _REPOSITORY]
        features = ["web-session", "purchasing", "payment"]
        yield f"{party}-wallet", party, "wallet", "buyer", features, needs, buyer
        yield f"{party}-manager", party, "manager", "manager", [], ["issuer-desk", _REPOSITORY], manager
    for number, person in enumerate(_OFFICERS, 1):
        needs = [_REGISTRATION, _REPOSITORY]
        yield f"authority-officer-{number}", "authority", "officer", "office", [], needs, person


def _component(row: _Row, port: int) -> list[str]:
    name, party, kind, compartment, features, needs, person = row
    talks_to = needs if kind == "audit" else [*needs, f"{party}-audit"]
    lines = [
        f"[component.{name}]",
        f"party = {json.dumps(party)}",
        f"kind = {json.dumps(kind)}",
        f'listen = "127.0.0.1:{port}"',
        f"compartment = {json.dumps(compartment)}",
        'location = "DE"',
        f"features = {json.dumps(features)}",
        f"talks_to = {json.dumps(talks_to)}",
        "tls = true" if kind == "merchant-outside" else f"plain_because = {json.dumps(_PLAIN)}",
    ]
    return [*lines, *([f"person = {json.dumps(person)}"] if person else []), ""]


def free_ports(number: int, host: str = "127.0.0.1") -> list[int]:
    """Ports of ``host`` that nobody listens on now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind((host, 0))
        return [each.getsockname()[1] for each in sockets]


#: How many ports :func:`example_file` takes.
EXAMPLE_PORTS: Final = len(_PARTIES) + len(_COMPONENTS) + 2 * len(_BUYERS) + len(_OFFICERS)
