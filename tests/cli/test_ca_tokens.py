"""A CA founded with its key in a token is killed at each step, and goes on with the same key and certificate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from e2s.cli.main import main
from tests.worlds.programs import openssl
from tests.worlds.token import LABEL, MODULE, PIN, tokens  # noqa: F401

pytestmark = pytest.mark.tool
#: Where it dies: behind the key's generation, before its certificate is in the folder, and behind.
STEPS = {
    "generated": ("token", "generate_pair", True),
    "certified": ("kept", "replace_file", False),
    "recorded": ("kept", "replace_file", True),
}
CREATE = (
    *("ca", "create", "ca", "--root", "root", "--root-phrase-file", "root.phrase"),
    *("--phrase-file", "pin", "--module", str(MODULE), "--token", LABEL),
)


def e2s(*arguments: str) -> object:
    """The status of a command in this process."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def killed(step: str, environment: dict[str, str]) -> int:
    """The status of ``e2s ca create`` killed at ``step``."""
    module, name, behind = STEPS[step]
    program = f"""
import os, sys
from e2s.cli.main import main
from e2s.security.keys import {module} as place
real = place.{name}
def dying(*arguments, **named):
    if {behind}:
        real(*arguments, **named)
    os.kill(os.getpid(), {int(signal.SIGKILL)})
place.{name} = dying
main(sys.argv[1:])
"""
    return subprocess.run([sys.executable, "-c", program, *CREATE], env=environment, check=False).returncode


def test_a_ca_in_a_token_survives_a_kill_at_each_step(tokens, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    pin = tmp_path / "pin"
    pin.touch(0o600)
    pin.write_text(PIN)
    officer = ("--officer", "urn:e2s:market:authority:olga", "--phrase-file", "root.phrase")
    assert e2s("ca", "root", "root", "--name", "market", *officer) == 0
    environment = {**tokens.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    for step in STEPS:
        assert killed(step, environment) == -signal.SIGKILL
        assert tokens.open().labels() == ("ca",), "one key, and it is known by the folder's record"
        tokens.opened.pop().close()
    assert e2s(*CREATE) == 0
    capsys.readouterr()
    assert e2s("ca", "list", "root", "--json") == 0
    assert capsys.readouterr().out.count('"serial"') == 1, "one certificate for it"
    issue = ("ca", "issue", "ca", "--profile", "tls-server", "--name", "shop.example", "--phrase-file", "pin")
    assert e2s(*issue) == 0
    judged = ("-CAfile", "root/root.pem", "-untrusted", "ca/ca.pem", "shop.example.pem")
    assert b"OK" in openssl("verify", *judged)
