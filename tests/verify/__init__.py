"""`make verify`: the long versions of the tests, each a row of one table."""
