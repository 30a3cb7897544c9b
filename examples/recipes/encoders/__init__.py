"""Steps behind `fetch_encoders.py` and `distil_towers.py`, one per module."""
