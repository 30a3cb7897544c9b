"""Finding speech by description, and descriptions for speech."""
