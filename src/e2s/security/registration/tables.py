"""The tables of a registration authority: cases, evidence, names given for ever, approvals, withdrawals.

A name's row is never deleted nor changed, whatever becomes of its case.
"""

from __future__ import annotations

import sqlalchemy as sa

from e2s.base.outbox import Outbox, outbox_table

TABLES = sa.MetaData()
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

SETTING = sa.Table(
    "setting",
    TABLES,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("value", _Octets, nullable=False),
)
CASE = sa.Table(
    "cases",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("state", _Text, nullable=False),
    sa.Column("profile", _Text, nullable=False),
    sa.Column("party", _Text, nullable=False),
    sa.Column("title", _Text, nullable=False),
    sa.Column("further", _Text, nullable=False),
    sa.Column("name", _Text, nullable=False, default=""),
    sa.Column("holder", _Integer),
    sa.Column("request", _Octets, nullable=False),
    sa.Column("spki", _Octets, nullable=False, index=True),
    sa.Column("protection", _Text, nullable=False),
    sa.Column("wanted", _Text, nullable=False),
    sa.Column("confidence", _Text, nullable=False, default=""),
    sa.Column("eyes", _Integer, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("before", _Text, nullable=False),
    sa.Column("approval", _Integer, index=True),
    sa.Column("batch", _Text, nullable=False, default=""),
    sa.Column("line", _Integer, nullable=False, default=0),
    sa.Column("serial", _Text, index=True),
    sa.Column("certificate", _Octets),
    sa.Column("rule", _Text, nullable=False, default=""),
    sa.Column("message", _Text, nullable=False, default=""),
    sa.Index("case_state", "state", "n"),
    sa.Index("case_batch", "batch", "line"),
    sa.Index("case_batch_state", "batch", "state", "line"),
    sa.Index("case_name", "name"),
)
EVIDENCE = sa.Table(
    "evidence",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("case", _Integer, sa.ForeignKey("cases.n"), nullable=False, index=True),
    sa.Column("record", _Octets, nullable=False),
    sa.Column("digest", _Octets, nullable=False),
    sa.Column("document", _Text, nullable=False),
)
#: Every word of an officer about one case.
WORD = sa.Table(
    "words",
    TABLES,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("case", _Integer, nullable=False, index=True),
    sa.Column("octets", _Octets, nullable=False),
)
HOLDER = sa.Table("holders", TABLES, sa.Column("n", _Integer, primary_key=True), sa.Column("at", _Text))
NAME = sa.Table(
    "names",
    TABLES,
    sa.Column("key", _Text, primary_key=True),
    sa.Column("name", _Text, nullable=False),
    sa.Column("party", _Text, nullable=False),
    sa.Column("holder", _Integer, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Index("name_holder", "holder", "party"),
)
DOCUMENT = sa.Table(
    "documents",
    TABLES,
    sa.Column("digest", _Text, primary_key=True),
    sa.Column("holder", _Integer, nullable=False),
)
APPROVAL = sa.Table(
    "approvals",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("digest", _Octets, nullable=False, unique=True),
    sa.Column("state", _Text, nullable=False),  # drafted, once, ready, done, lapsed
    sa.Column("content", _Octets, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("until", _Text, nullable=False),
    sa.Column("eyes", _Integer, nullable=False),
    sa.Column("orders", _Integer, nullable=False),
    sa.Column("batch", _Text, nullable=False, default=""),
    sa.Column("first", _Octets),
    sa.Column("second", _Octets),
    sa.Column("second_officer", _Text, nullable=False, default=""),
    sa.Column("rule", _Text, nullable=False, default=""),
    sa.Index("approval_state", "state", "n"),
)
WITHDRAWAL = sa.Table(
    "withdrawals",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("digest", _Octets, nullable=False, unique=True),
    sa.Column("state", _Text, nullable=False),  # waiting, done, declined
    sa.Column("serial", _Text, nullable=False, index=True),
    sa.Column("act", _Text, nullable=False),
    sa.Column("officer", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
    sa.Column("octets", _Octets, nullable=False),
    sa.Column("done_at", _Text),
    sa.Column("rule", _Text, nullable=False, default=""),
)
OUTBOX = Outbox(outbox_table(TABLES))
