"""`python -m bench.resource_usage COMMAND …` runs a command and prints its seconds, CPU seconds and peak RSS in bytes.

It is a process of its own, because RUSAGE_CHILDREN has one peak for all children of a process.
"""

import resource
import subprocess
import sys
import time


def main() -> int:
    """Run the command in this process' arguments, and return its exit code."""
    started = time.perf_counter()
    ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)  # noqa: S603 -- our own programs
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)  # noqa: T201 -- read by the parent
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
