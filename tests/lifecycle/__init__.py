"""Real processes on a real S3, started as a user starts them, with plain HTTP clients."""
