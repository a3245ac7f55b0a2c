"""So many random sequences, with a seed."""

from uuid import uuid4

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from assetstore.assets import Assets
from service.context import Context, Readiness
from tests.memory_s3 import MemoryS3
from tests.sequences.machine import RULES, Sequences
from tests.sequences.server import LoopbackService

STEPS = 20


def begin_service() -> LoopbackService:
    """Start the application that the sequences talk to; each gives it a bucket of its own."""
    s3 = MemoryS3()
    nothing = Assets(s3, s3, RULES, uuid4, bytes)
    Sequences.service = LoopbackService(Context(nothing, 60, lambda: s3.now, Sequences.metrics, Readiness()))
    return Sequences.service


def run_sequences(number: int, *, seed: int) -> None:
    """Run that many sequences of up to STEPS steps; a failing one is raised with its steps.

    Raises:
        AssertionError: the bucket and the dictionary disagree.
    """
    options = settings(
        max_examples=number,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),  # a sequence is short enough to be read as it is
    )
    run_state_machine_as_test(hypothesis.seed(seed)(Sequences), settings=options)
