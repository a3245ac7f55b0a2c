"""What operators use: metrics, reports, logs, doctor, alerts, docs."""
