"""Changes of the schema, in order. `repositories/sql/migrate.py` runs them."""
