"""6.2: trade between parties that don't trust each other; each act is signed, named and answered once."""
