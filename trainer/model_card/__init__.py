"""The model card: written from the files that lie beside the weights, and from nothing else."""

from .card import model_card, write_model_card


__all__ = ["model_card", "write_model_card"]
