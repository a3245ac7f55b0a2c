"""All figures of one run."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.reconciler import ReconcilerRow, Run
from bench.s3_cost import LifecycleCost
from bench.server import Scheme
from bench.service import ServiceRow
from bench.sizes import MAIN_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of one run."""

    service: Sequence[ServiceRow]
    start: Run
    finalizing: Sequence[ReconcilerRow]
    not_due: Sequence[ReconcilerRow]
    """One row for a run over a tenth of the assets, and one for a run over all of them."""
    cost: LifecycleCost
    load_before: float
    """The machine's load average before the run: what else was running."""

    def service_row(self, program: str, request: str) -> ServiceRow:
        """Return a row over HTTP, with the main number of connections."""
        key = (program, request, MAIN_CONNECTIONS, Scheme.HTTP)
        return next(row for row in self.service if (row.program, row.request, row.connections, row.scheme) == key)
