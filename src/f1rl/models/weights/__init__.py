"""Weights that others published: where they are, what their names mean, loading and writing them."""
