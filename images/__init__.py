"""Environments: building an image from its lock, or the same lock as a virtual environment."""
