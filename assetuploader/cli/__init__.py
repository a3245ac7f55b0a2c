"""The one command people type: assetuploader serve | reconcile | doctor | status | ls | selftest."""
