"""Real bodies bent in every way: whatever comes, nobody gets an exception that is not ours."""
