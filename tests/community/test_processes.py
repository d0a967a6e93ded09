"""The least community runs as processes: up, status, kill, up again, down; and nothing that is not ours."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from e2s.base.database import Database
from e2s.base.instants import SystemClock
from e2s.community.file import read_community
from e2s.community.home import CommunityHome
from e2s.community.processes import process_of
from e2s.network.sessions.client import HttpExchange
from e2s.security.timestamping.client import StampClient, check_stamp
from e2s.security.verification.services import ClientServices
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier
from e2s.server.audit import store
from e2s.server.audit.chain import Whole
from e2s.server.audit.sequencer import examine
from tests.community.samples import least

pytestmark = pytest.mark.processes


def e2s(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "e2s.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


@contextmanager
def running(folder):
    """A started least community in ``folder``, and its end."""
    file = folder / "community.toml"
    file.write_text(least())
    try:
        yield file, e2s("up", file)
    finally:
        e2s("down", file)


def states(file, status=0) -> dict[str, tuple[str, int | None]]:
    return {
        s["name"]: (s["state"], s["pid"])
        for s in json.loads(e2s("status", file, "--json", status=status).stdout)
    }


def test_a_community_comes_up_is_watched_killed_healed_and_stopped(tmp_path):
    with running(tmp_path) as (file, up):
        assert "4 started, 0 ran already" in up.stdout
        before = states(file)
        assert {state for state, _ in before.values()} == {"ready"}

        pid = before["stamps"][1]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        descriptor_gone(pid)
        after = states(file, status=1)
        assert after["stamps"] == ("stopped", None)
        assert after["log"] == before["log"]

        healed = json.loads(e2s("up", file, "--json").stdout)
        assert healed == {"community": "least", "started": ["stamps"]}
        now = states(file)
        assert now["log"] == before["log"]
        assert now["stamps"][0] == "ready"
        assert now["stamps"] != before["stamps"]

        stopped = e2s("down", file).stdout.splitlines()
        assert sorted(stopped) == [
            "4 stopped",
            "ca ended",
            "log ended",
            "repository ended",
            "stamps ended",
        ]
        assert {state for state, _ in states(file, status=1).values()} == {"stopped"}
    assert e2s("down", file).stdout == "0 stopped\n"


def descriptor_gone(pid: int) -> None:
    """Wait until the process has ended, by the kernel's word."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()  # a test process may hold more than select() takes
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(30_000)
    os.close(descriptor)


def test_events_reach_the_log_and_stamps_are_proven(tmp_path):
    with running(tmp_path) as (file, _):
        community = read_community(file.read_bytes())
        whole = CommunityHome.of_file(file)
        exchange = HttpExchange(anchors=whole.root.read_bytes())
        issuers = [
            (community.component("repository").origin, whole.certificates(name, label)[0])
            for name, label in (("repository", "root"), ("ca", "ca"))
        ]
        clock = SystemClock()
        trust = Trust(Verifier(whole.anchors()), ClientServices(exchange, issuers, clock))
        origins = [community.component("stamps").origin]
        client = StampClient(
            exchange=exchange, authorities=origins, trust=trust, clock=clock, random=os.urandom
        )
        stamp, verdict = check_stamp(client.stamp(b"\x07" * 32), b"\x07" * 32, trust)
        assert verdict.accepted
        assert stamp.imprint == b"\x07" * 32

        database = Database.open(tmp_path / "authority" / "log" / "data.db", store.TABLES)
        try:
            while not (kinds := logged(database)) >= {"certificate.issued", "crl.issued", "stamp.issued"}:
                assert process_of(whole.component(community.component("log"))), kinds
        finally:
            database.close()
        exchange.close()
    log = tmp_path / "authority" / "log"
    verified = json.loads(e2s("audit", "verify", log, "--json").stdout)
    assert verified["whole"] is True
    head = f"{verified['entries']}:{verified['head']}"
    assert (
        f"whole: {verified['entries']} entries, head {head}"
        in e2s("audit", "verify", log, "--head", head).stdout
    )
    shown = [json.loads(line) for line in e2s("audit", "show", log, "--json").stdout.splitlines()]
    assert [entry["number"] for entry in shown] == list(range(1, verified["entries"] + 1))
    newest = e2s("audit", "show", log, "--last", 2).stdout.splitlines()
    assert [line.split()[0] for line in newest] == [str(verified["entries"] - 1), str(verified["entries"])]

    database = Database.open(log / "data.db", store.TABLES)
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM audit_log WHERE number = 2")
    database.close()
    assert e2s("audit", "verify", log, status=1).stdout.startswith("altered at entry 2:")


def logged(database: Database) -> set[str]:
    with database.reading() as connection:
        entries = list(store.entries(connection))
    assert isinstance(examine(database), Whole)
    return {json.loads(entry.event)["kind"] for entry in entries}


def test_a_home_belongs_to_one_process_and_its_keys_to_one_reader(tmp_path):
    with running(tmp_path) as (file, _):
        assert "misused: already-running" in e2s("component", file, "log", status=2).stderr
        e2s("down", file)
        a_stranger_with_the_same_number_is_left_alone(tmp_path, file)
    keys_are_where_only_their_owner_reads(tmp_path)
    # Founding again is refused: nothing is overwritten.
    (tmp_path / "root.pem").unlink()
    assert "half-founded" in e2s("up", file, status=2).stderr


def a_stranger_with_the_same_number_is_left_alone(tmp_path, file):
    pid_file = tmp_path / "authority" / "stamps" / "pid"
    known = json.loads(pid_file.read_text())
    known["pid"] = os.getpid()
    pid_file.write_text(json.dumps(known))
    assert states(file, status=1)["stamps"] == ("stopped", None)
    assert e2s("down", file).stdout == "0 stopped\n"


@pytest.mark.parametrize(
    "content", ["", "{}", '{"pid": "x"}', '{"pid": 1, "started": 0, "boot": ""}', "\x00\x01"]
)
def test_a_damaged_pid_file_names_no_process(tmp_path, content):
    community = read_community(least().encode())
    home = CommunityHome(tmp_path).component(community.component("log"))
    home.path.mkdir(parents=True)
    home.pid.write_text(content)
    assert process_of(home) is None


def test_a_component_that_cannot_start_is_named_and_the_rest_is_stopped(tmp_path):
    file = tmp_path / "community.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = least()
        community = read_community(text.encode())
        port = community.component("stamps").listen.port
        file.write_text(text.replace(str(port), str(taken.getsockname()[1])))
        failed = e2s("up", file, status=1)
    assert failed.stderr.startswith("unanswered: not-started: stamps did not start: ")
    assert "port-taken" in failed.stderr
    assert {state for state, _ in states(file, status=1).values()} == {"stopped"}


def test_what_does_not_conform_is_not_started(tmp_path):
    file = tmp_path / "community.toml"
    file.write_text(least().replace('plain_because = "one machine"', "", 1))
    checked = e2s("check", file, status=1)
    assert "3.09 plain-link-justified" in checked.stdout
    assert (
        json.loads(e2s("check", file, "--json", status=1).stdout)["findings"][0]["rule"]
        == "plain-link-justified"
    )
    refused = e2s("up", file, "--json", status=1)
    assert json.loads(refused.stderr)["rule"] == "not-conforming"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["community.toml"]


def keys_are_where_only_their_owner_reads(tmp_path):
    secret = {"pse", "pse.phrase", "ca.pse", "root-offline.phrase", "data.db", "register.sqlite"}
    for path in tmp_path.rglob("*"):
        if path.name in secret or path.suffix == ".key":
            assert path.stat().st_mode & 0o077 == 0, path
    for folder in (tmp_path / "authority").iterdir():
        assert folder.stat().st_mode & 0o077 == 0
    assert sorted(p.name for p in (tmp_path / "root-offline").iterdir()) == [
        "ca.pse",
        "ceremonies",
        "places.toml",
        "register.sqlite",
        "root.pem",
    ]
