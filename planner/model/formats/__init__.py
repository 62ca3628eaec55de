"""Number formats of weights and caches, each with its exact stored bytes."""
