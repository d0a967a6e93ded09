"""An example configuration of OpenLDAP's slapd: one tree that anybody reads and only the publisher writes.

It is text that a person reads, alters and takes over (slapd.conf, 5); nothing here starts a server.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Final

from e2s.crypto.certificates import Certificate
from e2s.security.directory import entries
from e2s.security.directory.names import Dn, read_dn, same, write_dn

SCHEMAS: Final = ("core", "cosine", "inetorgperson")
#: At the top of a tree no certificate's entry begins with uid: none can take their place.
PUBLISHER: Final = "uid=publisher"
REPLICA: Final = "uid=replica"
#: A complete list of a million is 35 MB.
_MOST_OCTETS: Final = 128 * 1024 * 1024
_ROOM: Final = 8 * 1024 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The server's certificate with those between, its key, and the roots of clients' certificates.

    ``writer``: the publisher's own certificate, if it is to be known by its subject.
    """

    certificate: Path
    key: Path
    anchors: Path
    writer: Certificate | None = None


@dataclass(frozen=True, kw_only=True)
class Slapd:
    """What a configuration says: ``folder`` is the server's own, ``uid`` who may write over ldapi."""

    folder: Path
    suffix: Dn
    uid: int
    schemas: Path
    modules: Path
    tls: Tls | None = None

    @property
    def publisher(self) -> str:
        """The only name that may write."""
        return f"{PUBLISHER},{write_dn(self.suffix)}"


def write_configuration(slapd: Slapd) -> str:
    """The file ``slapd.conf``."""
    suffix, publisher = _quoted(write_dn(slapd.suffix)), _quoted(slapd.publisher)
    schemas = "\n".join(f"include {_quoted(str(slapd.schemas / name))}.schema" for name in SCHEMAS)
    return f"""# slapd.conf(5), written by e2s directory setup
{schemas.replace('".schema', '.schema"')}
modulepath {_quoted(str(slapd.modules))}
moduleload back_mdb
moduleload syncprov
pidfile {_quoted(str(slapd.folder / "slapd.pid"))}
# lists may be long; strangers' questions are short
sockbuf_max_incoming 65536
sockbuf_max_incoming_auth {_MOST_OCTETS}
conn_max_pending_auth 1000
idletimeout 300
writetimeout 60
{_tls(slapd)}
# who writes over the socket (ldapi): the user that the publisher runs as
authz-regexp "gidNumber=[^,]*\\\\+uidNumber={slapd.uid},cn=peercred,cn=external,cn=auth" {publisher}

database mdb
suffix {suffix}
directory {_quoted(str(slapd.folder / "data"))}
maxsize {_ROOM}
index objectClass,entryCSN,entryUUID eq
index cn,uid,mail,labeledURI eq
limits dn.exact={publisher} size=unlimited time=unlimited
limits dn.exact={_quoted(f"{REPLICA},{write_dn(slapd.suffix)}")} size=unlimited time=unlimited
limits * size=500 time=30
# nobody reads passwords; only the publisher writes; there is no rootpw
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact={publisher} write by * read
# for replicas: see replica.conf
overlay syncprov
syncprov-checkpoint 1000 10
"""


def write_replica(slapd: Slapd, provider: str) -> str:
    """The lines that a copy's ``slapd.conf`` has besides (RFC 4533): it takes from ``provider``, by TLS."""
    return f"""# In a replica's slapd.conf, behind its database mdb of the same suffix, indexes and access.
# It is known by its certificate; give {REPLICA},{write_dn(slapd.suffix)} to that by authz-regexp.
syncrepl rid=1
  provider={_quoted(provider)}
  type=refreshAndPersist retry="5 12 60 +"
  searchbase={_quoted(write_dn(slapd.suffix))}
  bindmethod=sasl saslmech=EXTERNAL starttls=critical
  tls_cert="/path/of/replica.pem" tls_key="/path/of/replica.key"
  tls_cacert="/path/of/roots.pem" tls_reqcert=demand
updateref {_quoted(provider)}
"""


def write_base(slapd: Slapd, password: bytes, salt: bytes) -> str:
    """The first entries as LDIF (RFC 2849), for slapadd: the top, and who may write.

    The password is to be random: its hash is one that every slapd knows.
    """
    kind, value = slapd.suffix[0][0]
    hashed = b64encode(sha1(password + salt).digest() + salt)  # noqa: S324 - of 256 random bits
    top = [*entries.top(kind.lower(), value).items()]
    writer = [
        ("objectClass", (b"account", b"simpleSecurityObject")),
        ("uid", (PUBLISHER.partition("=")[2].encode(),)),
        ("userPassword", (b"{SSHA}" + hashed,)),
    ]
    return "\n".join(
        _record(dn, values) for dn, values in ((write_dn(slapd.suffix), top), (slapd.publisher, writer))
    )


def _record(dn: str, values: list[tuple[str, tuple[bytes, ...]]]) -> str:
    """One entry, each value in base64, so that none can begin another line."""
    lines = [("dn", dn.encode()), *((name, one) for name, some in values for one in some)]
    return "".join(f"{name}:: {b64encode(value).decode()}\n" for name, value in lines)


def _tls(slapd: Slapd) -> str:
    if slapd.tls is None:
        return "# without TLS: for this machine only"
    tls = slapd.tls
    return f"""TLSCertificateFile {_quoted(str(tls.certificate))}
TLSCertificateKeyFile {_quoted(str(tls.key))}
TLSCACertificateFile {_quoted(str(tls.anchors))}
TLSProtocolMin 3.3
TLSVerifyClient try
# passwords and changes go by TLS or over the socket only
localSSF 128
security simple_bind=128 update_ssf=128
{_writer(slapd, tls.writer)}"""


def _writer(slapd: Slapd, writer: Certificate | None) -> str:
    """The exact subject that writes: another holder of that common name must not."""
    if writer is None:
        return "# nobody writes by certificate"
    subject = re.escape(write_dn(same(read_dn(writer.subject))))
    return f"# who writes by certificate\nauthz-regexp {_quoted(f'^{subject}$')} {_quoted(slapd.publisher)}"


def _quoted(text: str) -> str:
    """A word of slapd.conf."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
