"""Published and closed-form equilibria, and the test that the solver finds them."""
