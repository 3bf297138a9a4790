"""Experiments: what is measured of a cell."""
