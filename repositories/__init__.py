"""Stored state: SQL for what lasts, a shared store for what replicas must agree on."""
