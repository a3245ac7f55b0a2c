"""Whether the service can do its work."""

from dataclasses import dataclass

from assetuploader.capabilities import Capability


@dataclass(slots=True)
class Readiness:
    """What `/readyz` reports, and whether the store may be written to."""

    is_started: bool = False
    is_draining: bool = False
    store_verified: bool = False
    """The conformance check has passed. Until then nothing is written, because the store may ignore conditions."""
    capabilities: frozenset[Capability] = frozenset()
    """What the store enforces on upload URLs. It is known once the store is verified."""
    takes_parts: bool | None = None
    """Whether the store can be trusted with uploads in parts; None while the check has not had a result."""

    @property
    def is_ready(self) -> bool:
        """Whether load balancers should send requests. A later outage of S3 takes no pod out of service."""
        return self.is_started and self.store_verified and not self.is_draining
