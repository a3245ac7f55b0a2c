"""The rows, in the order of the table."""

from typing import Final

from tests.protocol.mutants import MUTANTS
from tests.prove.mutation_row import mutation
from tests.prove.protocol_rows import interleavings, sequences, teeth
from tests.prove.row import Row

ROWS: Final = (
    Row("interleavings", "no schedule of the real code breaks I1 to I7", interleavings, 3, 2),
    Row("teeth", "without any one rule of the protocol, a schedule breaks an invariant", teeth, len(MUTANTS), 10),
    Row("mutation", "the unit tests notice every change of protocol.py", mutation, 100_000, 100_000),
    Row("sequences", "bucket and answers agree with a dictionary at every step", sequences, 10_000, 500),
)
