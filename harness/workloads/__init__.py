"""Workloads: models and operators, with their inputs."""
