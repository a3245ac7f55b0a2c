"""What people who run this see: metrics, reports, logs, doctor, alerts, docs."""
