"""The benchmarks (suite), their recorded results, and the tools that compare and show results."""
