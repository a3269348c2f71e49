"""What is carried between each client's format and each provider, found by trying it."""
