"""Benchmarks: `make bench` runs them and writes docs/bench.md and docs/bench.png."""
