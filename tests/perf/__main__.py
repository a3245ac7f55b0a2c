"""`make bench-memory`: the memory of the reconciler by the objects in `temp/`, and of the service's cache when full."""

import sys

from assetuploader.asset_cache import MAX_ENTRIES
from bench.tables import table
from tests.perf.cache import measure_cache
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
    rows = [
        f"| {MAX_ENTRIES:,} | {what} | {measure_cache(MAX_ENTRIES, is_declared=is_declared) / 1_000_000:.0f} MB |"
        for what, is_declared in (("nothing", False), ("all members", True))
    ]
    sys.stdout.write("\n" + table(["assets in the service's cache", "declared", "memory"], rows))


main()
