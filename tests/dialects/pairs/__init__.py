"""Promises that hold between any two formats, whichever are registered."""
