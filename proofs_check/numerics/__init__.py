"""How far from exact computed quantities can be, and equilibria that owe nothing to the library's solvers."""
