"""6.1, repository: certificates and lists are signed, so whoever carries them is not trusted."""
