"""The dev image's entry point: `assetuploader serve` again whenever a source file changed; other commands run once."""

import os
import shlex
import sys

from watchfiles import PythonFilter, run_process

COMMAND = ["assetuploader", *sys.argv[1:]]

if __name__ == "__main__":
    if sys.argv[1:2] != ["serve"]:
        os.execvp(COMMAND[0], COMMAND)  # noqa: S606 - the arguments are the pod's own
    run_process(".", target=shlex.join(COMMAND), target_type="command", watch_filter=PythonFilter())
