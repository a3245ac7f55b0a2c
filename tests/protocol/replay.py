"""One schedule, told step by step: `make replay SCENARIO='two reconcilers' SCHEDULE=2:0.0.3`, MUTANT=… for a mutant."""

import argparse
import sys

from tests.protocol.campaign import by_name
from tests.protocol.code import REAL
from tests.protocol.explore import parse
from tests.protocol.mutants import mutant_by_name
from tests.protocol.schedule import run


def main() -> int:
    """Tell the schedule; 1 when it breaks an invariant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario")
    parser.add_argument("schedule", type=parse)
    parser.add_argument("--mutant", default="")
    given = parser.parse_args()
    code = mutant_by_name(given.mutant).code() if given.mutant else REAL
    bounds, vector = given.schedule
    done = run(by_name(given.scenario), code, bounds, vector, known_ends=set())
    sys.stdout.write("\n".join((*done.story, done.violation or "every invariant holds")) + "\n")
    return done.violation is not None


if __name__ == "__main__":
    sys.exit(main())
