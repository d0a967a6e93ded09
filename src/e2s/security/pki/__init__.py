"""6.1, certification: no certificate is released without its record, or says what its profile does not."""
