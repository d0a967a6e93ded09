"""End-to-end security for trade between businesses: the floors of the house are the document's chapters."""
