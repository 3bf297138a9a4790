"""Engines: where a launch is started."""
