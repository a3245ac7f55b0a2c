"""What goes wrong between us and S3, on the wire: for any transport, in front of a real server."""
