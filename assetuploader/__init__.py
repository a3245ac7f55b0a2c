"""The core of assetuploader: state machine, asset service, S3 client, doctor and command line."""
