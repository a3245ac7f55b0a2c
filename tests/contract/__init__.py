"""The store contract: each promise of S3 that DESIGN.md stands on, asked of real servers."""
