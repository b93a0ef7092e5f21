"""What is measured (suite), what was (results), and what is made of it."""
