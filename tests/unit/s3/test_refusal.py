"""What S3 refuses, in our words."""

import pytest

from assetstore.errors import PreconditionFailedError, StoreUnavailableError
from assetstore.s3.refusal import Missing, Refusal, error_of

FAILED = [Refusal(412, ""), Refusal(412, "PreconditionFailed"), Refusal(409, "ConditionalRequestConflict")]


@pytest.mark.parametrize("refusal", FAILED, ids=str)
@pytest.mark.parametrize("missing", Missing)
def test_a_failed_condition_is_believed_of_a_conditional_call_only(refusal: Refusal, missing: Missing) -> None:
    """A HEAD that answers 412 is a store out of its mind: unavailable, never a race that was lost."""
    assert isinstance(error_of(refusal, missing, is_conditional=True), PreconditionFailedError)
    assert isinstance(error_of(refusal, missing, is_conditional=False), StoreUnavailableError)
