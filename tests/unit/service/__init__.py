"""The HTTP API over real sockets, with the in-memory S3 behind the door."""
