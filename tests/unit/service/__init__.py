"""The HTTP API over real sockets, with the in-memory S3 as its store."""
