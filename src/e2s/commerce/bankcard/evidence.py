"""A judge's door: the record that a party keeps, the bundle that it makes, and what the bundle proves.

The record and the bundle stand below, in :mod:`e2s.commerce.evidence`, since every room keeps one; the
judgement stands here, since it knows the documents of all rooms.
"""

from __future__ import annotations

from e2s.commerce.bankcard.judgement import judge
from e2s.commerce.bankcard.report import CHECKS, Commitment, Finding, Report
from e2s.commerce.evidence import Bundle, TradeRecord, read_bundle, write_bundle

__all__ = [
    "CHECKS",
    "Bundle",
    "Commitment",
    "Finding",
    "Report",
    "TradeRecord",
    "judge",
    "read_bundle",
    "write_bundle",
]
