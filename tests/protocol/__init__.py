"""The interleaving explorer: real coroutines, stepped one S3 call at a time through every order and fault."""
