"""Tests of one part of a program at a time, most of them with an in-memory or fake S3."""
