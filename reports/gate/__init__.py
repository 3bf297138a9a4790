"""The gate: fail a release when an image is slower or wrong, and only then."""
