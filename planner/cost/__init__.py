"""What a deployment takes: memory per device and seconds per step."""
