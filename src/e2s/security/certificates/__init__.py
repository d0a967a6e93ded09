"""6.1, certificates: none says what its profile does not, and none is signed before it is linted."""
