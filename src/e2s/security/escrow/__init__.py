"""6.1.1, key escrow: an encryption key comes back only where enough officers said so, on record."""
