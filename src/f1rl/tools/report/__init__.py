"""One run as text, pictures, tables or a page."""
