"""Sharing a checkpoint: its card, what belongs to it, and the upload."""
