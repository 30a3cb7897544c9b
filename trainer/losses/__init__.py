"""The objective in three pieces: where soft targets come from, who the candidates are, how the loss is summed."""
