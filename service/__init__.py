"""The HTTP API: HTTP in, one assetstore call, HTTP out."""
