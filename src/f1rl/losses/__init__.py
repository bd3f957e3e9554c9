"""Losses and the baselines they are compared with, as pure functions."""
