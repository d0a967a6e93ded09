"""What reports are made from: a row for each certificate, with all that they ask of it, in a file of its own.

The book is copied from the CA's register, which is not touched by a report; lost, it is made again.
"""

from __future__ import annotations

import sqlalchemy as sa

TABLES = sa.MetaData()
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

#: How far the register and the registration's words were read.
PLACE = sa.Table(
    "place",
    TABLES,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("number", _Integer, nullable=False),
    sa.Column("octets", _Octets, nullable=False, default=b""),
)
#: ``id`` is the register's; ``state`` good, held or revoked: what has expired is told by ``not_after``.
#: ``key`` and ``bits`` are the key's kind and size, ``hash`` what its issuer signed with, ``agree`` whether
#: it seals, ``places`` whether the certificate says where its revocation is told.
ENTRY = sa.Table(
    "entries",
    TABLES,
    sa.Column("id", _Integer, primary_key=True),
    sa.Column("serial", _Text, nullable=False, index=True),
    sa.Column("profile", _Text, nullable=False),
    sa.Column("name", _Text, nullable=False),
    sa.Column("spki", _Octets, nullable=False),
    sa.Column("case", _Text, nullable=False),
    sa.Column("not_before", _Integer, nullable=False),
    sa.Column("not_after", _Integer, nullable=False),
    sa.Column("key", _Text, nullable=False),
    sa.Column("bits", _Integer, nullable=False),
    sa.Column("hash", _Text, nullable=False),
    sa.Column("agree", _Integer, nullable=False),
    sa.Column("places", _Integer, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("since", _Integer, nullable=False, default=0),
    sa.Column("reason", _Text, nullable=False, default=""),
    sa.Index("entry_key", "spki", "state", "not_after"),
    sa.Index("entry_end", "not_after", "id"),
    sa.Index("entry_name", "name", "profile", "id"),
    sa.Index("entry_state", "state", "since"),
    sa.Index("entry_strength", "key", "bits", "hash", "agree"),
)
#: That a key was used: what its holder or officer signed.
MARK = sa.Table(
    "marks",
    TABLES,
    sa.Column("spki", _Octets, primary_key=True),
    sa.Column("at", _Text, nullable=False),
    sa.Column("how", _Text, nullable=False),
    sqlite_with_rowid=False,
)
