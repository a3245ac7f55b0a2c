"""The project itself: its version, workflows and release."""
