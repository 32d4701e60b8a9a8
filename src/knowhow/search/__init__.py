"""Question to hits: candidates of both sides, fused, freed of duplicates, merged and cut to k."""
