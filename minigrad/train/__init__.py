"""Training, from the command line (`python -m minigrad.train --arch densenet`) and from Python (Trainer).

config      what can be set: one dataclass gives the flags, the TOML keys and their checks
arguments   the command line; suggest: what may have been meant by a flag that doesn't exist
own         nets and data sets of your own, by file
recipe      the settings that each family trains well with; fitting: those that fit few or small images
setup       from a configuration to data, model, optimizer and schedule; loaders: its batches
together    a command that several processes run as one
finder      --find-lr: which learning rate to begin with
run         plan, test or train; pretrained: begin from published weights
trainer     Trainer: any net, data, loss and metrics, from Python
parts       what a session is made of, by name or given
sampling    which images are held back, and what each class counts
tensorboard the numbers of each epoch for TensorBoard
recording   what stands around the loop: signals, directory, background writer
session     all that changes during a run; progress: how far it is, and its history
loop        train_step, an epoch, an evaluation: the loop itself
step, graph a training step, op by op or as one CUDA graph
gradients   its forward and backward pass; replay: captured and replayed on a CPU
transfer    batches on their way to a GPU
keeper      which checkpoints are kept, and when they are written
checkpoint  one file that a run goes on from bit for bit
directory   a run's own directory, locked while it is written to
stopping    signals as requests to stop between steps; errors: what ends a run before its time
compilation the kernels that a new machine compiles once: said, shown and left out of rates
screen      lines that fit the terminal, and the bar
measures    what a test measures
log, plot   what a run says, writes and draws; report: each class in a table; results: all files
plan        what a run will cost
"""


def __getattr__(name):
    """Trainer and ReplayedGradients are imported on first use: --help must come at once."""
    if name == "Trainer":
        from .trainer import Trainer

        return Trainer
    if name == "ReplayedGradients":
        from .replay import ReplayedGradients

        return ReplayedGradients
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
