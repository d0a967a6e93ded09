"""The tables of administration, in the registration's register: versions and proposals of policies.

They stand beside the register's own, so that an act and its event are one transaction, and events leave by
the registration authority's outbox.
"""

from __future__ import annotations

import sqlalchemy as sa

from e2s.base.outbox import Outbox, outbox_table

TABLES = sa.MetaData()
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

#: What a policy said, each time that it changed; ``state`` is ``applying`` until its file has it.
VERSION = sa.Table(
    "policy_versions",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("subject", _Text, nullable=False),
    sa.Column("number", _Integer, nullable=False),
    sa.Column("digest", _Text, nullable=False),
    sa.Column("octets", _Octets, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("officers", _Text, nullable=False),
    sa.Column("why", _Text, nullable=False),
    sa.Column("proposal", _Integer),
    sa.Column("state", _Text, nullable=False),
    sa.UniqueConstraint("subject", "number"),
)
#: ``id`` is the digest of the officer's word; ``base`` that of the version that it changes; ``state`` is
#: ``waiting``, ``approved`` or ``declined``.
PROPOSAL = sa.Table(
    "policy_proposals",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("subject", _Text, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("base", _Text, nullable=False),
    sa.Column("octets", _Octets, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("why", _Text, nullable=False),
    sa.Column("word", _Octets, nullable=False),
    sa.Column("decider", _Text, nullable=False, default=""),
    sa.Column("decided", _Text, nullable=False, default=""),
    sa.Column("because", _Text, nullable=False, default=""),
    sa.Index("proposal_state", "state", "n"),
)
#: Every word that was taken, by its digest: a repeat is answered, and changes nothing.
DECISION = sa.Table(
    "policy_decisions",
    TABLES,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("proposal", _Integer, nullable=False),
    sa.Column("octets", _Octets, nullable=False),
)
OUTBOX = Outbox(outbox_table(TABLES))
