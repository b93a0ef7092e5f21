"""Run a problem: from the arguments of a call to its result."""
