"""The test of the checks themselves: change every backward pass in small ways, and see which changes no check notices.

regions     which pieces of source are a backward pass
mutations   what may stand in the place of a piece: the mistakes that people make
mutants     functions with one such change, made in memory
campaign    the checks run against each mutant, and the verdicts
"""
