"""`python -m minigrad.sweep lr=0.1,0.03 seed=0,1,2`: a training run for each combination, and a table of all."""
