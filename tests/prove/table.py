"""The rows, in the order of the table."""

from typing import Final

from tests.protocol.mutants import MUTANTS
from tests.prove.http_rows import raw, schema, suite
from tests.prove.mutation_row import mutation
from tests.prove.protocol_rows import interleavings, sequences, teeth
from tests.prove.row import Row
from tests.prove.s3_rows import away, ledger, levels, nth_call, overlap, reference, restarts

ROWS: Final = (
    Row("interleavings", "no schedule of the real code breaks I1 to I7", interleavings, 3, 2),
    Row("teeth", "without any one rule of the protocol, a schedule breaks an invariant", teeth, len(MUTANTS), 10),
    Row("mutation", "the unit tests notice every change of protocol.py", mutation, 100_000, 100_000),
    Row("sequences", "bucket and answers agree with a dictionary at every step", sequences, 10_000, 500),
    Row("reference", "the in-memory S3 answers as a real server does", reference, 20_000, 1_000),
    Row("nth-call", "whichever S3 call fails, and how, nothing is lost, changed or made up", nth_call, 4, 1),
    Row("overlap", "each asset is finalized exactly once, whoever is killed", overlap, 1_000, 100),
    Row("ledger", "every 202 is downloaded and is the same bytes", ledger, 100_000, 1_000),
    Row("away", "without S3: 503 within 3 s, alive throughout, backlog cleared in two runs", away, 30, 5),
    Row("restarts", "no request fails while services are restarted in turn", restarts, 20, 4),
    Row("raw", "no wrong request gets a 5xx, hangs, or sees itself in the answer", raw, 20_000, 2_000),
    Row("schema", "the API does what its OpenAPI says", schema, 300, 30),
    Row("levels", "no log level writes a secret", levels, 1, 1),
    Row("suite", "no test writes a secret to a log", suite, 1, 1),
)
