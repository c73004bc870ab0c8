"""What fine-tuning methods do in small games: agents that pay for their own work, and agents without a language."""
