"""A real slapd of the test's own: in its own folder, on a free port, by the configuration that we write."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from e2s.community.example import free_ports
from e2s.security.directory.address import Address, Login
from e2s.security.directory.configuration import Slapd, Tls, write_base, write_configuration
from e2s.security.directory.names import read_suffix

SCHEMAS, MODULES = Path("/etc/ldap/schema"), Path("/usr/lib/ldap")
SUFFIX = "o=market"
HOSTS = ("127.0.0.1", "127.0.0.2")


def program(name: str) -> str:
    """Debian puts slapd where a user's PATH may not look."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"{name} is not installed: see debian-packages.txt"
    return found


class Server:
    """One slapd; it can be killed, stopped, frozen and started again on the same data."""

    def __init__(
        self, folder: Path, *, suffix: str = SUFFIX, tls: Tls | None = None, extra: str = ""
    ) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True, exist_ok=True)
        self.slapd = Slapd(
            folder=folder,
            suffix=read_suffix(suffix),
            uid=os.getuid(),
            schemas=SCHEMAS,
            modules=MODULES,
            tls=tls,
        )
        self.suffix = suffix
        self.password_file = folder / "publisher.password"
        password = secrets.token_urlsafe(32)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(password)
        self.config = folder / "slapd.conf"
        self.config.write_text(write_configuration(self.slapd) + extra)
        base = folder / "base.ldif"
        base.write_text(write_base(self.slapd, password.encode(), secrets.token_bytes(8)))
        done = subprocess.run(
            [program("slapadd"), "-f", str(self.config), "-l", str(base)], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        self.port, self.port_tls = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def uri_tls(self) -> str:
        return f"ldaps://127.0.0.1:{self.port_tls}"

    @property
    def socket(self) -> str:
        return f"ldapi://{quote(str(self.folder / 'ldapi'), safe='')}"

    @property
    def login(self) -> Login:
        return Login(dn=self.slapd.publisher, password_file=self.password_file)

    def address(self, **more) -> Address:
        return Address(uri=self.uri, **more)

    def start(self, *more: str) -> Server:
        uris = [self.uri, self.socket]
        if self.slapd.tls is not None:
            # at an address that stands in no certificate, too
            uris += [one.replace("127.0.0.1", host) for one in (self.uri_tls, self.uri) for host in HOSTS]
        listening = " ".join(dict.fromkeys(uris))
        command = [program("slapd"), "-f", str(self.config), "-h", listening, "-d", "0"]
        self.process = subprocess.Popen(
            [*more, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self.process.poll() is None, "slapd ended at once"
                time.sleep(0.01)
        raise AssertionError("slapd does not listen")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            if how == signal.SIGSTOP:
                while not self._frozen(self.process.pid):
                    time.sleep(0.01)
            elif how != signal.SIGCONT:
                self.process.wait(30)
                self.process = None

    @staticmethod
    def _frozen(process: int) -> bool:
        """Whether every thread stands still: a signal takes its time."""
        tasks = Path(f"/proc/{process}/task").glob("*/stat")
        return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    def search(self, *words: str) -> str:
        """What ldapsearch prints, as anybody."""
        command = [program("ldapsearch"), "-x", "-LLL", "-o", "ldif-wrap=no", "-H", self.uri, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in {0, 32}, done.stderr
        return done.stdout
