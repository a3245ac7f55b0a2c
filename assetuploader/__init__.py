"""The asset's life in S3: pure decisions, and the only code that talks to S3."""
