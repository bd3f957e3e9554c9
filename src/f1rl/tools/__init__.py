"""Commands beside training: what looks at machines and runs, and changes neither."""
