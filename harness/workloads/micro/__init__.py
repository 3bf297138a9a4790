"""The suite ``micro``: operators and small blocks that people argue about, each of a few milliseconds or less on a CPU."""
