"""The command line: `assetuploader serve | reconcile | doctor | status | ls | selftest`."""
