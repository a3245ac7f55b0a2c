"""The HTTP API: a Sanic application over the asset service."""
