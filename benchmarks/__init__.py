"""Speed of the planner itself; never a timed test."""
