"""The community file is read strictly: what it does not know it refuses, with the rule and the line.

TOML of at most 64 KiB.  Tables: ``[community]``, ``[trust]``, ``[party.NAME]``, ``[component.NAME]``,
``[contract.MERCHANT.ORGANISATION]``.  A reader gets values only; whether they conform to chapters 3
and 4 is another question (:mod:`e2s.community.conformance`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from e2s.base.errors import Misuse, Refusal
from e2s.base.money import decimals, parse_number
from e2s.community.description import Community, Component, Contract, Listen, Party, Trust
from e2s.community.kinds import FEATURES, KINDS, PARTY_KINDS
from e2s.crypto.suites import is_location, load_policy

MAX_FILE_BYTES: Final = 64 * 1024
MAX_LINE_BYTES: Final = 500
MAX_ENTRIES: Final = 500
MAX_TEXT: Final = 200
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_TOML_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.toml", re.ASCII)
_LISTEN = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[::1\]|localhost):([0-9]{1,5})", re.ASCII)

Check: TypeAlias = Callable[[Any], Any]


class _Place:
    """Where in the file a value stands, to say so in a refusal."""

    def __init__(self, text: str, header: str) -> None:
        self._lines = text.splitlines()
        self.header = header

    def refuse(self, key: str, sentence: str, rule: str = "bad-community-file") -> Refusal:
        at = f"{self.header}.{key}" if key and self.header else key or self.header
        return Refusal(rule, f"{at}: {sentence}", at=at[:MAX_TEXT], line=self._line(key))

    def _line(self, key: str) -> int | None:
        """A hint only: the header's line or, below it, the key's; None where neither is found."""
        header = f"[{self.header}]"
        start = next((n for n, line in enumerate(self._lines) if line.strip().startswith(header)), None)
        if start is None:
            return None
        for number, line in enumerate(self._lines[start + 1 :], start + 1):
            if line.lstrip().startswith("["):
                break
            if key and line.strip().partition("=")[0].strip() == key:
                return number + 1
        return start + 1


def load_community(path: Path) -> Community:
    """Read the file at ``path``, and the rows of suites beside it that it names.

    Raises ``no-community-file``, ``no-suite-table``, or what :func:`read_community` and
    :func:`~e2s.crypto.suites.read_rows` do.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Misuse("no-community-file", "the community file cannot be read", path=str(path)) from error
    community = read_community(octets)
    if not community.suites:
        return community
    return replace(community, policy=load_policy(path.with_name(community.suites)))


def read_community(octets: bytes) -> Community:
    """The community that ``octets`` describe.

    Raises :class:`Refusal`: ``too-large``, ``not-toml``, ``unknown-key``, ``missing-key``,
    ``unknown-name`` or ``bad-community-file``, each with its place.
    """
    text, data = _parsed(octets)
    top = _Place(text, "")
    _keys(top, data, {"community", "party", "component", "trust"}, {"contract"})
    about = _record(
        _Place(text, "community"), data["community"], {"name": _name}, {"title": _text, "suites": _toml_name}
    )
    trust = _record(
        _Place(text, "trust"),
        data["trust"],
        {"authority": _name},
        {"root_key": _one_of("off-line", "on-line")},
    )
    parties = {
        name: Party(name=name, **_record(place, table, {"kind": _one_of(*PARTY_KINDS)}, {"title": _text}))
        for name, table, place in _tables(text, data, "party")
    }
    components = {
        name: Component(name=name, **_component(place, table))
        for name, table, place in _tables(text, data, "component")
    }
    community = Community(
        name=about["name"],
        title=about.get("title", about["name"]),
        trust=Trust(**trust),
        parties=MappingProxyType(parties),
        components=MappingProxyType(components),
        contracts=_contracts(text, data.get("contract", {})),
        suites=about.get("suites", ""),
    )
    _names_exist(text, community)
    return community


def _parsed(octets: bytes) -> tuple[str, dict[str, Any]]:
    if len(octets) > MAX_FILE_BYTES or any(len(line) > MAX_LINE_BYTES for line in octets.split(b"\n")):
        raise Refusal("too-large", "a community file has at most 64 KiB, in lines of at most 500 octets")
    try:
        text = octets.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise Refusal("not-toml", "a community file is text in UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise Refusal("not-toml", f"the community file is not TOML: {str(error)[:MAX_TEXT]}") from error


def _keys(place: _Place, table: object, needed: set[str], allowed: set[str]) -> None:
    if not isinstance(table, dict):
        raise place.refuse("", "is a table")
    for key in table:
        if key not in needed | allowed:
            shown = key if len(key) <= MAX_TEXT else key[:MAX_TEXT] + "..."
            raise place.refuse(shown, "is not known here", "unknown-key")
    for key in sorted(needed - table.keys()):
        raise place.refuse(key, "is missing", "missing-key")


def _record(
    place: _Place, table: object, needed: Mapping[str, Check], allowed: Mapping[str, Check]
) -> dict[str, Any]:
    """The table's values, each through its check, under the checks' own names."""
    _keys(place, table, set(needed), set(allowed))
    assert isinstance(table, dict)  # noqa: S101  # _keys has refused anything else
    values = {}
    for key, value in table.items():
        check = needed.get(key) or allowed[key]
        try:
            values[key] = check(value)
        except ValueError as error:
            raise place.refuse(key, str(error)) from error
    return values


def _tables(text: str, data: Mapping[str, Any], kind: str) -> list[tuple[str, object, _Place]]:
    tables = data[kind]
    if not isinstance(tables, dict) or not 0 < len(tables) <= MAX_ENTRIES:
        raise _Place(text, kind).refuse("", f"has 1 to {MAX_ENTRIES} entries")
    found = []
    for name, table in tables.items():
        place = _Place(text, f"{kind}.{name[:MAX_TEXT]}")
        try:
            found.append((_name(name), table, place))
        except ValueError as error:
            raise place.refuse("", str(error)) from error
    return found


def _component(place: _Place, table: object) -> dict[str, Any]:
    values = _record(
        place,
        table,
        {
            "party": _name,
            "kind": _one_of(*KINDS),
            "listen": _listen,
            "compartment": _name,
            "location": _location,
        },
        {
            "features": _list_of(_one_of(*sorted(FEATURES))),
            "talks_to": _list_of(_name),
            "tls": _truth,
            "plain_because": _text,
            "person": _name,
            "settings": _settings,
        },
    )
    known = KINDS[values["kind"]].settings
    for key in values.get("settings", {}):
        if key not in known:
            raise place.refuse(
                f"settings.{key}"[:MAX_TEXT], "is no setting of this kind of component", "unknown-key"
            )
    return values


def _contracts(text: str, tables: object) -> tuple[Contract, ...]:
    if not isinstance(tables, dict) or len(tables) > MAX_ENTRIES:
        raise _Place(text, "contract").refuse("", "names merchants, then organisations")
    found = []
    for merchant, organisations in tables.items():
        if not isinstance(organisations, dict) or len(organisations) > MAX_ENTRIES:
            raise _Place(text, f"contract.{merchant[:MAX_TEXT]}").refuse("", "names organisations")
        for organisation, table in organisations.items():
            place = _Place(text, f"contract.{merchant[:MAX_TEXT]}.{organisation[:MAX_TEXT]}")
            values = _record(place, table, {"text": _text}, {"currency": _currency, "discount": _percent})
            found.append(Contract(merchant=merchant, organisation=organisation, **values))
    return tuple(found)


def _names_exist(text: str, community: Community) -> None:
    """Every name that is used is also declared."""
    rule = "unknown-name"
    if community.trust.authority not in community.parties:
        raise _Place(text, "trust").refuse("authority", "there is no such party", rule)
    for component in community.components.values():
        place = _Place(text, f"component.{component.name}")
        if component.party not in community.parties:
            raise place.refuse("party", "there is no such party", rule)
        for peer in component.talks_to:
            if peer not in community.components or peer == component.name:
                raise place.refuse("talks_to", f"there is no other component {peer}", rule)
        if KINDS[component.kind].person != bool(component.person):
            raise place.refuse("person", "wallets and managers, and only they, belong to a person")
    for contract in community.contracts:
        place = _Place(text, f"contract.{contract.merchant[:MAX_TEXT]}.{contract.organisation[:MAX_TEXT]}")
        for name in (contract.merchant, contract.organisation):
            if name not in community.parties:
                raise place.refuse("", "there is no such party", rule)


# Checks: a value in, the value to keep out; ValueError with the rest of a sentence.


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise ValueError(f"is printable text of 1 to {MAX_TEXT} characters")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > 40 or not _NAME.fullmatch(value):
        raise ValueError("is a name: small letters, digits and single hyphens, at most 40")
    return value


def _toml_name(value: object) -> str:
    if not isinstance(value, str) or len(value) > 40 or not _TOML_NAME.fullmatch(value):
        raise ValueError("is the name of a .toml file beside this one")
    return value


def _location(value: object) -> str:
    if not isinstance(value, str) or value == "*" or not is_location(value):
        raise ValueError("is a country of ISO 3166 as DE, or a country with a division as US-NSS")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")  # noqa: TRY004  # a value of the file, not of our caller
    return value


def _listen(value: object) -> Listen:
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    octets = [int(part) for part in match[1].split(".")] if match and match[1][0].isdigit() else []
    if match is None or any(octet > 255 for octet in octets) or not 0 < int(match[2]) < 65536:
        raise ValueError('is an address and a port, such as "127.0.0.1:8443"')
    return Listen(match[1], int(match[2]))


def _currency(value: object) -> str:
    try:
        decimals(_text(value))
    except Refusal as refusal:
        raise ValueError("is a currency of ISO 4217") from refusal
    return str(value)


def _percent(value: object) -> str:
    try:
        if parse_number(_text(value)) <= 100:
            return str(value)
    except Refusal:
        pass
    raise ValueError('is a percentage in quotes, such as "12.5"')


def _one_of(*names: str) -> Check:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"is one of {', '.join(names)}")
        return value

    return check


def _list_of(each: Check) -> Check:
    def check(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise ValueError("is a list")
        if len(set(map(repr, value))) != len(value):
            raise ValueError("names something twice")
        return tuple(each(item) for item in value)

    return check


def _settings(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ValueError("is a table of texts")  # noqa: TRY004  # a value of the file
    return MappingProxyType({key: _text(text) for key, text in value.items()})
