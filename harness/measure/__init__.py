"""Measuring: clocks, sampling, accuracy."""
