"""How many requests may be under way, and how many may be repeated: fewer while S3 is in trouble."""

from dataclasses import dataclass
from typing import Final

_EASE_SECONDS: Final = 1.0
"""All the answers that asked for patience within this time were to one burst: they count once."""
_RETRY_COST: Final = 5


@dataclass(slots=True)
class Pace:
    """Additive increase, multiplicative decrease: half of what there was at SlowDown, one more a good round."""

    most: int
    allowed: float
    """Now, between 1 and `most`."""
    eased_at: float = float("-inf")

    def slow_down(self, now: float, under_way: int) -> int:
        """S3 asked for patience while so many requests were under way; how many may be from now on."""
        if now - self.eased_at >= _EASE_SECONDS:
            self.eased_at = now
            self.allowed = max(1.0, min(self.allowed, under_way) / 2)
        return int(self.allowed)

    def speed_up(self) -> int:
        """A request went well; how many may be under way from now on."""
        self.allowed = min(float(self.most), self.allowed + 1 / self.allowed)
        return int(self.allowed)


@dataclass(slots=True)
class RetryBudget:
    """Repeating may not make an outage worse: successes earn what a retry costs, as in the AWS SDKs' standard mode."""

    capacity: int = 500
    left: int = 500

    def spend(self) -> bool:
        """Whether one more retry may be made; it is paid for if so."""
        if self.left < _RETRY_COST:
            return False
        self.left -= _RETRY_COST
        return True

    def earn(self) -> None:
        """A request went well."""
        if self.left < self.capacity:
            self.left += 1
