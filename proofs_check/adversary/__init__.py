"""Gradient ascent on observed/bound: who looks for the worst game."""
