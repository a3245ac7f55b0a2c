"""How fast it is: `make bench` runs all of it and writes docs/bench.md and docs/bench.png."""
