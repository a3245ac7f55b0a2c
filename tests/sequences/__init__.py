"""Random sequences of requests, uploads, runs, jumps of the clock and faults, against an independent dictionary."""
