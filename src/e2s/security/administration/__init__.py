"""6.1.1, key management's administration: acts and reports, none without its right and its event."""
