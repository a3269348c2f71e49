"""The tests, in the same tree as the code; promises of the whole program are in e2e."""
