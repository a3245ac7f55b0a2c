"""What is wrong with a bucket, and what to do about it: tried where it can be tried, else read."""
