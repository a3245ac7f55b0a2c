"""The one command people type: assetuploader serve | reconcile | doctor | selftest."""
