"""What holds while something else is broken."""
