"""`make bench-memory`: the reconciler's peak memory for a thousand and for a hundred thousand objects in `temp/`."""

from rich.console import Console
from rich.table import Table

from tests.perf.peak import measure


def main() -> None:
    """Measure and print."""
    table = Table("objects in temp/", "finalized", "waiting", "peak memory", "seconds")
    for objects in (1_000, 100_000):
        peak = measure(objects)
        table.add_row(
            f"{peak.objects:,}",
            f"{peak.outcomes['finalized']:,}",
            f"{peak.outcomes['waiting']:,}",
            f"{peak.peak_bytes / 1_000_000:.1f} MB",
            f"{peak.seconds}",
        )
    Console().print(table)


main()
