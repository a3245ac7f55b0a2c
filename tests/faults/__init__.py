"""Faults between the programs and S3, injected on the wire in front of a real server."""
