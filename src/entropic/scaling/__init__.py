"""Scaling studies: a matrix of runs, what they cost, and whether scale changes the thermodynamic outcome."""
