"""The monitor as a live page in a browser."""
