"""Checks of a bucket, each with a remedy: by trying the operation where possible, else by reading a setting."""
