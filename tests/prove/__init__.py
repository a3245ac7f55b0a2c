"""`make prove`: the long versions of the tests, each a row of one table."""
