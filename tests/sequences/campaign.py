"""The random sequences of one seed, and the service that they share."""

from uuid import uuid4

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from assetuploader.asset_service import AssetService
from assetuploader.multipart_service import MultipartService
from service.context import Context
from tests.sequences.machine import POLICY, Sequences
from tests.sequences.server import LoopbackService
from tests.support.in_memory_s3 import InMemoryS3

STEPS = 20


def start_service() -> LoopbackService:
    """Start the application that all sequences use; each sequence gives it its own bucket."""
    s3 = InMemoryS3()
    unused = AssetService(s3, s3, POLICY, uuid4, bytes)
    unused_too = MultipartService(s3, s3, s3, POLICY, uuid4, bytes)
    Sequences.service = LoopbackService(
        Context(unused, unused_too, 60, lambda: s3.now, Sequences.metrics, Sequences.readiness)
    )
    return Sequences.service


def run_sequences(number: int, *, seed: int) -> None:
    """Run `number` sequences of up to STEPS steps.

    Raises:
        AssertionError: The bucket and the model disagree; the notes have the steps.
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
