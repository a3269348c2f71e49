"""The table of upstream failures: what each provider says, and what follows from it."""
