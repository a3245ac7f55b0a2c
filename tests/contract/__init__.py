"""The store contract: each promise of S3 that docs/design.md relies on, tested on real servers."""
