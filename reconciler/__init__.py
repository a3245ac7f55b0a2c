"""The CronJob program: scans `temp/`, reconciles assets, and tells listeners about it."""
