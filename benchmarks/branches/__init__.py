"""Is "principal_branch" ever another equilibrium? Games by the million against an independent tracer and Gambit."""
