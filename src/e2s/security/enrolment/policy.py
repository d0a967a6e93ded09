"""What is certified at which door, to whom, and how high, is data; what it does not say is not given."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from e2s.base.errors import Misuse, Refusal
from e2s.security.registration.policy import LEVELS

FILE: Final = "enrolment.toml"
MAX_POLICY_BYTES: Final = 64 * 1024
SHOWN: Final = ("invited", "holder", "control")
_EVERY: Final = "*"
_KEYS: Final = ("any", "new")
_BOUNDS: Final = ("invitation-days", "uses", "retry-seconds", "waiting-days", "tries", "tries-minutes")
#: A key kept in a file, as is believed without another word.
SOFTWARE: Final = "software"
_MAX_DAYS: Final = 3660


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What holds for one profile; no ``renewal_days``: at any time before the end."""

    profile: str
    shown: frozenset[str]
    doors: frozenset[str]
    confidence: str
    officer: bool = False
    renewal_days: int | None = None
    grace_days: int = 0
    key: str = "any"

    def check_door(self, door: str, shown: str) -> None:
        """Raise :class:`Refusal` ``not-at-this-door`` or ``not-by-this-means``; no door is any."""
        if door and not self.doors & {_EVERY, door}:
            raise Refusal(
                "not-at-this-door", "this door does not enrol for this profile", profile=self.profile
            )
        self.check_shown(shown)

    def check_shown(self, shown: str) -> None:
        """Raise :class:`Refusal` ``not-by-this-means`` unless the profile is given for what was shown."""
        if shown not in self.shown:
            raise Refusal(
                "not-by-this-means", "what was shown is not enough for this profile", profile=self.profile
            )

    def check_window(self, not_after: datetime, at: datetime) -> None:
        """Raise :class:`Refusal` ``too-early`` or ``expired`` unless a certificate is renewed at ``at``."""
        if self.renewal_days is not None and at < not_after - timedelta(days=self.renewal_days):
            raise Refusal("too-early", "it is too early to renew this certificate", days=self.renewal_days)
        if at > not_after + timedelta(days=self.grace_days):
            raise Refusal("expired", "the certificate is over: its holder is invited anew")


@dataclass(frozen=True, kw_only=True)
class Acme:
    """What the ACME door is told."""

    external_account: bool
    profile: str
    terms: str
    http_port: int
    tls_port: int
    networks: tuple[str, ...]
    hosts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Est:
    """What the EST door is told: whether keys that are made for others may leave as they are, within TLS."""

    plain_keys: bool = False


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of one component of enrolment."""

    rules: Mapping[str, Rule]
    protections: Mapping[str, str]
    acme: Acme
    invitation_days: int
    uses: int
    retry_seconds: int
    waiting_days: int
    tries: int
    tries_minutes: int
    est: Est = Est()

    def rule(self, profile: str) -> Rule:
        """The rule of a profile; raises :class:`Refusal` ``not-enrolled`` where there is none."""
        found = self.rules.get(profile)
        if found is None:
            raise Refusal("not-enrolled", "nobody enrols for this profile here", profile=profile[:64])
        return found

    @property
    def strongest(self) -> str:
        """How a key is kept that the highest level asks for."""
        return max(self.protections, key=lambda name: LEVELS.index(self.protections[name]))

    def level(self, *most: str | None, protection: str = "") -> str:
        """The weakest of levels and of what the key's protection allows; raises ``protection``."""
        kept = self.protections.get(protection or SOFTWARE)
        if kept is None:
            raise Refusal("protection", "the policy does not know keys kept so", protection=protection[:64])
        return min((kept, *filter(None, most)), key=LEVELS.index)


def read_policy(octets: bytes, where: str = "policy.toml") -> Policy:
    """A policy file; raises :class:`Misuse` ``bad-policy`` with what is wrong in it."""
    if len(octets) > MAX_POLICY_BYTES:
        raise Misuse("bad-policy", "the file is larger than may be read", file=where)
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-policy", "the policy is not TOML", file=where) from error
    reader = _Reader(where)
    tables = {name: reader.table(data.pop(name, None), name) for name in _TABLES}
    est = reader.est(data.pop("est", {}))
    reader.need(not data, "a policy has the tables bounds, protection, acme, est and profile")
    bounds = tables["bounds"]
    reader.need(set(bounds) == set(_BOUNDS), f"bounds are {' '.join(_BOUNDS)}")
    for name in _BOUNDS:
        reader.count(bounds[name], 1_000_000 if name == "uses" else _MAX_DAYS)
    levels = tables["protection"]
    reader.need(SOFTWARE in levels, "protection says the level of a key in software")
    for level in levels.values():
        reader.need(level in LEVELS, f"a level is one of {' '.join(LEVELS)}")
    return Policy(
        rules=MappingProxyType({name: reader.rule(name, rule) for name, rule in tables["profile"].items()}),
        protections=MappingProxyType(levels),
        acme=reader.acme(tables["acme"]),
        est=est,
        **{name.replace("-", "_"): bounds[name] for name in _BOUNDS},
    )


@cache
def shipped() -> Policy:
    """The policy that comes with E2S."""
    return read_policy(files("e2s.security.enrolment").joinpath("policy.toml").read_bytes())


def policy_in(folder: Path) -> Policy:
    """The policy of a component's folder: its own file, or the one that comes with E2S."""
    path = folder / FILE
    if not path.exists():
        return shipped()
    with path.open("rb") as file:
        return read_policy(file.read(MAX_POLICY_BYTES + 1), str(path))


_TABLES: Final = ("bounds", "protection", "acme", "profile")
_RULE: Final = {"shown", "doors", "confidence"}
_RULE_MORE: Final = {"officer", "renewal-days", "grace-days", "key"}
_ACME: Final = {"external-account", "profile", "terms", "http-port", "tls-port", "networks", "hosts"}


class _Reader:
    """Reads values of one file, each of its kind."""

    def __init__(self, where: str) -> None:
        self._where = where

    def need(self, good: bool, sentence: str, **facts: str) -> None:  # noqa: FBT001
        """Raise unless ``good``."""
        if not good:
            raise Misuse("bad-policy", sentence, file=self._where, **facts)

    def table(self, value: Any, name: str) -> dict[str, Any]:
        """A table that is there."""
        self.need(isinstance(value, dict), "a policy has this table", table=name)
        return dict(value)

    def count(self, value: Any, most: int, least: int = 1) -> int:
        """A whole number within bounds."""
        self.need(type(value) is int and least <= value <= most, f"a number from {least} to {most}")
        return int(value)

    def texts(self, value: Any) -> tuple[str, ...]:
        """A list of texts."""
        good = isinstance(value, list) and len(value) <= 64 and all(isinstance(one, str) for one in value)
        self.need(good, "a list of texts")
        return tuple(value)

    def rule(self, name: str, value: Any) -> Rule:
        """One profile's rule."""
        said = self.table(value, f"profile.{name}")
        named = said.keys() >= _RULE and said.keys() <= _RULE | _RULE_MORE
        self.need(named, f"a profile says {' '.join(sorted(_RULE))}", profile=name)
        shown, doors = frozenset(self.texts(said["shown"])), frozenset(self.texts(said["doors"]))
        self.need(shown <= set(SHOWN), f"who asks is {' '.join(SHOWN)}", profile=name)
        self.need(said["confidence"] in LEVELS, f"a level is one of {' '.join(LEVELS)}", profile=name)
        key, officer = said.get("key", "any"), said.get("officer", False)
        self.need(key in _KEYS and type(officer) is bool, "key is any or new, officer true or false")
        days = said.get("renewal-days")
        return Rule(
            profile=name,
            shown=shown,
            doors=doors,
            confidence=said["confidence"],
            officer=officer,
            renewal_days=None if days is None else self.count(days, _MAX_DAYS),
            grace_days=self.count(said.get("grace-days", 0), _MAX_DAYS, 0),
            key=key,
        )

    def acme(self, said: dict[str, Any]) -> Acme:
        """What the ACME door is told."""
        self.need(set(said) == _ACME, f"acme says {' '.join(sorted(_ACME))}")
        account, hosts = said["external-account"], self.table(said["hosts"], "acme.hosts")
        texts = (said["profile"], said["terms"], *hosts.values())
        self.need(
            type(account) is bool and all(isinstance(one, str) for one in texts), "text, or true or false"
        )
        return Acme(
            external_account=account,
            profile=said["profile"],
            terms=said["terms"],
            http_port=self.count(said["http-port"], 65535),
            tls_port=self.count(said["tls-port"], 65535),
            networks=self.texts(said["networks"]),
            hosts=MappingProxyType(hosts),
        )

    def est(self, value: Any) -> Est:
        """What the EST door is told."""
        said = self.table(value, "est")
        plain = said.pop("plain-keys", False)
        self.need(not said and type(plain) is bool, "est says plain-keys, true or false")
        return Est(plain_keys=plain)
