"""The pretend providers refuse what the real ones refuse, and nothing else."""
