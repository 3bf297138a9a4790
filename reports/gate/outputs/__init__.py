"""The outputs of the gate: each is a pure function of a GateReport; ``write`` puts them into files."""
