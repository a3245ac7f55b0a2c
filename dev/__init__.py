"""The whole product on one machine, for trials and tests: a real S3 server, the service, the reconciler."""
