"""The store contract: each promise of S3 that docs/design.md stands on, asked of real servers."""
