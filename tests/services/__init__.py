"""Decisions, and IO in time."""
