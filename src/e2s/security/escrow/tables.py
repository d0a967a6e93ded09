"""The tables of an escrow: policies, deposits with their shares, cases with every word about them.

Nothing here opens by itself: keys are sealed under keys that are split, and shares are sealed to officers.
"""

from __future__ import annotations

import sqlalchemy as sa

from e2s.base.outbox import Outbox, outbox_table

TABLES = sa.MetaData()
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

POLICY = sa.Table(
    "policies",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("version", _Integer, nullable=False),
    sa.Column("word", _Octets, nullable=False),
    sa.Column("agreed", _Octets),
)
DEPOSIT = sa.Table(
    "deposits",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("certificate", _Text, nullable=False, unique=True),
    sa.Column("holder", _Text, nullable=False, index=True),
    sa.Column("policy", _Text, nullable=False, index=True),
    sa.Column("drill", _Integer, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("word", _Octets, nullable=False),
    sa.Column("key", _Octets, nullable=False),
)
#: Officers' sealed shares, by the policy among whose officers they were split.
SHARE = sa.Table(
    "shares",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("deposit", _Integer, sa.ForeignKey("deposits.n"), nullable=False),
    sa.Column("generation", _Text, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("box", _Octets, nullable=False),
    sa.UniqueConstraint("deposit", "generation", "officer"),
    sa.Index("share_officer", "officer", "deposit"),
)
#: Words by which shares are shared again and accepted, and the sealed parts by the officer that they are for.
MOVE = sa.Table(
    "moves",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("deposit", _Integer, sa.ForeignKey("deposits.n"), nullable=False),
    sa.Column("policy", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),  # reshare, accept
    sa.Column("officer", _Text, nullable=False),
    sa.Column("word", _Octets, nullable=False),
    sa.Index("move_deposit", "deposit", "policy"),
)
PART = sa.Table(
    "parts",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("move", _Integer, sa.ForeignKey("moves.n"), nullable=False, index=True),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("box", _Octets, nullable=False),
)
CASE = sa.Table(
    "cases",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("short", _Text, nullable=False, unique=True),
    sa.Column("state", _Text, nullable=False),
    sa.Column("policy", _Text, nullable=False),
    sa.Column("path", _Text, nullable=False),
    sa.Column("holder", _Text, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("recipient", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("word", _Octets, nullable=False),
)
#: What was said about a case after it was opened.
WORD = sa.Table(
    "words",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("case", _Integer, sa.ForeignKey("cases.n"), nullable=False, index=True),
    sa.Column("kind", _Text, nullable=False),  # approved, stopped, received
    sa.Column("officer", _Text, nullable=False),
    sa.Column("octets", _Octets, nullable=False),
)
#: Approving officers' shares, sealed to the recipient.
TURNED = sa.Table(
    "turned",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("word", _Integer, sa.ForeignKey("words.n"), nullable=False, index=True),
    sa.Column("place", _Integer, nullable=False),
    sa.Column("box", _Octets, nullable=False),
)
#: The vault's own words about a case, each naming the one before.
ENTRY = sa.Table(
    "entries",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("case", _Integer, sa.ForeignKey("cases.n"), nullable=False),
    sa.Column("number", _Integer, nullable=False),
    sa.Column("id", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("octets", _Octets, nullable=False),
    sa.UniqueConstraint("case", "number"),
)
#: Revocation lists by which a case's words were judged.
LIST = sa.Table(
    "lists",
    TABLES,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("octets", _Octets, nullable=False),
)
CASE_LIST = sa.Table(
    "case_lists",
    TABLES,
    sa.Column("case", _Integer, sa.ForeignKey("cases.n"), primary_key=True),
    sa.Column("list", _Text, primary_key=True),
)
OUTBOX = Outbox(outbox_table(TABLES))
