"""DICE-FT beside other ways of fine-tuning, on the embedded model: accuracy at equal generated tokens."""
