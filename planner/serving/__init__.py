"""From the time of a step to a service: workloads, capacity, simulation, search, cost."""
