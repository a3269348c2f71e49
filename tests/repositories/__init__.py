"""Stored state, and state that replicas share."""
