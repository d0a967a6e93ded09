"""Real tokens: SoftHSM2 with a folder of its own for each test, and OpenSC's program to look into it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2s.security.keys import cryptoki
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
    left = [login for module in cryptoki._MODULES.values() for login in module.logins.values()]
    for login in left:
        login.users = 1
        cryptoki.log_out(login)
    assert not left, "a token was left open"


#: A module that hands all on to SoftHSM, but where the file that E2S_TOKEN_FAULT names holds "CALL CODE TIMES".
_FAULTY = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef unsigned long CK;
typedef struct { unsigned char version[2]; void *call[68]; } LIST;
static LIST *real, mine;
static CK fault(const char *call) {
  char name[16]; CK code = 0; int times = 0; const char *path = getenv("E2S_TOKEN_FAULT");
  FILE *file = path ? fopen(path, "r+") : NULL;
  if (!file) return 0;
  if (fscanf(file, "%15s %lx %d", name, &code, &times) != 3 || strcmp(name, call) || times < 1) code = 0;
  else { rewind(file); fprintf(file, "%s %lx %d   ", name, code, times - 1); }
  fclose(file);
  return code;
}
static CK login(CK s, CK u, void *p, CK n) {
  CK code = fault("login"); return code ? code : ((CK (*)(CK, CK, void *, CK)) real->call[18])(s, u, p, n);
}
static CK sign_init(CK s, void *m, CK k) {
  CK code = fault("sign"); return code ? code : ((CK (*)(CK, void *, CK)) real->call[42])(s, m, k);
}
static CK generate(CK s, void *m, void *a, CK b, void *c, CK d, void *e, void *f) {
  CK code = fault("generate");
  return code ? code : ((CK (*)(CK, void *, void *, CK, void *, CK, void *, void *)) real->call[59])(s, m, a, b, c, d, e, f);
}
CK C_GetFunctionList(LIST **out) {
  void *module = dlopen("%MODULE%", RTLD_NOW | RTLD_LOCAL);
  CK code = ((CK (*)(LIST **)) dlsym(module, "C_GetFunctionList"))(&real);
  if (code) return code;
  mine = *real; mine.call[18] = login; mine.call[42] = sign_init; mine.call[59] = generate; *out = &mine;
  return 0;
}
"""


@pytest.fixture(scope="session")
def faulty_module(tmp_path_factory):
    """A module of a token that fails when it is told to."""
    if shutil.which("cc") is None:
        pytest.fail("there is no C compiler to build a faulty token with")
    folder = tmp_path_factory.mktemp("faulty")
    source, built = folder / "faulty.c", folder / "faulty.so"
    source.write_text(_FAULTY.replace("%MODULE%", str(MODULE)))
    run("cc", "-shared", "-fPIC", "-o", str(built), str(source), "-ldl")
    built.chmod(0o755)
    return built


@pytest.fixture
def fault(tokens, monkeypatch):
    """Tells the faulty module: the next ``times`` calls give ``code`` (PKCS#11 v3.1, 6: CKR_...)."""
    file = tokens.folder / "fault"
    file.touch()
    monkeypatch.setenv("E2S_TOKEN_FAULT", str(file))

    def tell(call: str, code: int, times: int = 1) -> None:
        file.write_text(f"{call} {code:x} {times}   ")

    return tell
