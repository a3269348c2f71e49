"""Tests of the Messages format."""
