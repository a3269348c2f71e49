"""Measurements of what the gateway costs; none of them passes or fails."""
