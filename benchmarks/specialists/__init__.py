"""Adapters trained on different classes of questions as the agents of a team, beside three agents without any."""
