"""Requests that nobody sends in good faith."""
