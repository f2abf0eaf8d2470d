"""Training from the command line: `python -m minigrad.train --arch densenet`.

config      what can be set: one dataclass gives the flags, the TOML keys and their checks
recipe      the settings that each family trains well with
setup       from a configuration to data, model, optimizer and schedule
loop        train_step, an epoch, an evaluation: the loop itself
step, graph a training step, op by op or as one CUDA graph
gradients   its forward and backward pass
checkpoint  one file that a run goes on from bit for bit
log, plot   what a run says, writes and draws
plan        what a run will cost
"""
