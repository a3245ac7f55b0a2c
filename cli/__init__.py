"""The one command people type: assetuploader serve | reconcile | selftest."""
