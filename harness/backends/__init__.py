"""Backends: ways to run a workload, each with the proof that it ran."""
