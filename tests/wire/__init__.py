"""Exchanges of our own making: what each format's provider writes, and what clients get of it."""
