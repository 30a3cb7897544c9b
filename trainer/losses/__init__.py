"""The loss in three pieces: soft targets, the candidates of all processes, and the sum, whole or by chunks."""
