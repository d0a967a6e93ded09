"""Real tokens: SoftHSM2 with a folder of its own for each test, and OpenSC's program to look into it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2s.security.keys.phrase import Phrase
from e2s.security.keys.token import TokenKeys, TokenPlace, open_token
from tests.worlds.programs import run

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, OFFICER_PIN = "73914682", "55512345"
LABEL = "authority"


@dataclass
class Tokens:
    """A folder with tokens in it; SoftHSM reads where it is whenever the module is initialised."""

    folder: Path
    opened: list[TokenKeys] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "tokens").mkdir()
        self.settings.write_text(
            f"directories.tokendir = {self.folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )

    @property
    def settings(self) -> Path:
        return self.folder / "softhsm2.conf"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SOFTHSM2_CONF": str(self.settings)}

    def add(self, label: str = LABEL) -> TokenPlace:
        """A new token."""
        run(
            "softhsm2-util",
            *("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", OFFICER_PIN),
            env=self.environment,
        )
        return place(label)

    def open(self, label: str = LABEL, pin: str = PIN, module: Path = MODULE) -> TokenKeys:
        """The token's keys; closed with the test."""
        keys = open_token(place(label, module), Phrase(pin))
        self.opened.append(keys)
        return keys

    def tool(self, *arguments: str, label: str = LABEL) -> str:
        """What OpenSC's pkcs11-tool says of a token, logged in."""
        given = ("--module", str(MODULE), "--token-label", label, "--login", "--pin", PIN)
        return run("pkcs11-tool", *given, *arguments, env=self.environment).decode()


def place(label: str = LABEL, module: Path = MODULE) -> TokenPlace:
    return TokenPlace(module=module, token=label)


@pytest.fixture
def tokens(tmp_path, monkeypatch):
    """A folder with one token, and no login that outlives the test."""
    made = Tokens(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.settings))
    made.add()
    yield made
    for keys in made.opened:
        keys.close()
