"""Where soft targets come from."""
