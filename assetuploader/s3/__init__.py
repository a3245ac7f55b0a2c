"""What stands behind the door: S3 spoken directly, over kept-alive connections. `connect` is the way in."""
