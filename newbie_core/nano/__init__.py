"""The small model: its drawn dataset, training, evaluation and export."""
