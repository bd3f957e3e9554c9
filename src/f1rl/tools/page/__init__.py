"""Self-contained HTML pages: what a report and a comparison have in common."""
