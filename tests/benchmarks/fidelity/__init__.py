"""Are the numbers of the harness true? ``python -m tests.benchmarks.fidelity STUDY`` (``--help`` lists the studies).

A study is a module with ``add_options(parser)`` and ``run(options) -> Outcome``. Most make launches as ``bench`` does and read their rows
back; those that compare two instruments take turns with both in one process.
"""
