"""The whole product on one machine, to try it and to test it: a real S3 server, the service, the reconciler."""
