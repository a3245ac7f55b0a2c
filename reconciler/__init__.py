"""The CronJob program: list, decide, act, report, exit code."""
