"""How much memory a reconciler's run takes, however many objects there are in `temp/`."""
