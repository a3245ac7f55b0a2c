"""Print one schedule step by step: `make replay SCENARIO='two reconcilers' SCHEDULE=2:0.0.3`, MUTANT=… for a mutant."""

import argparse
import sys

from tests.protocol.campaign import scenario_by_name
from tests.protocol.code_under_test import REAL
from tests.protocol.explore import parse_schedule
from tests.protocol.mutants import mutant_by_name
from tests.protocol.schedule import run


def main() -> int:
    """Print the schedule; return 1 when it violates an invariant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("schedule", type=parse_schedule)
    parser.add_argument("--mutant", default="")
    args = parser.parse_args()
    code = mutant_by_name(args.mutant).code() if args.mutant else REAL
    bounds, vector = args.schedule
    done = run(scenario_by_name(args.scenario), code, bounds, vector, known_ends=set())
    sys.stdout.write("\n".join((*done.transcript, done.violation or "every invariant holds")) + "\n")
    return done.violation is not None


if __name__ == "__main__":
    sys.exit(main())
