"""`make bench-memory`: the reconciler's peak memory for a thousand and for a hundred thousand objects in `temp/`."""

import sys

from bench.tables import table
from tests.perf.peak import measure


def main() -> None:
    """Measure and print."""
    rows = []
    for objects in (1_000, 100_000):
        peak = measure(objects)
        finalized, waiting = peak.outcomes["finalized"], peak.outcomes["waiting"]
        memory = f"{peak.peak_bytes / 1_000_000:.1f} MB"
        rows.append(f"| {peak.objects:,} | {finalized:,} | {waiting:,} | {memory} | {peak.seconds} |")
    sys.stdout.write(table(["objects in temp/", "finalized", "waiting", "peak memory", "seconds"], rows))


main()
