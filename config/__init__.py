"""Settings and nothing else: where they come from, their types, and how logs are written."""
