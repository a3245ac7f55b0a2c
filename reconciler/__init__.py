"""The CronJob program: scans `temp/`, reconciles assets, and notifies listeners."""
