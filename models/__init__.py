"""Domain vocabulary: what travels between the layers. Standard library only."""
