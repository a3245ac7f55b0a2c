"""The S3 client: signing, HTTP, retries and parsing. `assetuploader.s3.bucket.open_bucket` is the entry point."""
