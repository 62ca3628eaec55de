"""Real kernels beside the planner: run, compare, calibrate, keep the record."""
