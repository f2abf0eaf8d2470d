"""A command that several processes run as one: the first speaks, an error in any ends all."""

import os
from contextlib import contextmanager, redirect_stdout

from ..command.errors import UsageError, blaming_the_user
from ..command.screen import concluded, quietly
from ..distributed import init_process_group


@contextmanager
def in_one_voice(program):
    """The Group of processes that run this command; what the others print, but for errors, is not shown.

    An error ends all of them: one that is a line with its status, others after their traceback with status 1.
    UsageError if they were not started by what connects them.
    """
    with blaming_the_user(RuntimeError):
        group = init_process_group()
    try:
        with speaking_first(group):
            yield group
    except Exception as error:
        if group.size == 1:
            raise
        end_all(group, program, error)


@contextmanager
def speaking_first(group):
    """In this block what processes beside the first print goes nowhere, and they show no bars."""
    if group.rank == 0:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), quietly():
        yield


def end_all(group, program, error):
    """Say the error as a command does, and end all processes. What is no line passes: its traceback ends all, too."""

    def again():
        raise error

    group.wait_for_first()
    group.abort(concluded(program, again))


def check_together(command, group):
    """UsageError for what one process does by itself, if there are several."""
    if group.size == 1:
        return
    weights_alone = command.evaluate and command.pretrained is not None
    for asked, name in (
        (command.find_lr, "--find-lr"),
        (command.profile, "--profile"),
        (weights_alone, "--evaluate --pretrained"),
    ):
        if asked:
            raise UsageError(f"{name} is for one process; {group.size} were started: leave out mpiexec")


def check_device(config, group):
    """UsageError for what several processes can't ask of a device."""
    if group.size == 1:
        return
    if ":" in config.device:
        kind = config.device.partition(":")[0]
        raise UsageError(f"--device {config.device}: each of {group.size} processes takes its own: --device {kind}")
    if config.cuda_graph:
        raise UsageError(f"--cuda-graph is for one process; {group.size} were started")
