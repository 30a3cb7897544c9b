"""How a trained model is judged."""
