"""Who started this process, and how many others with it: what launchers tell in variables of the environment."""

MPI_SIZES = "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"  # MPICH and Intel MPI; Open MPI; MVAPICH
MPI_RANKS = "PMIX_RANK", "PMI_RANK"  # what srun --mpi=pmix and others tell a process of an MPI program


def processes(environ):
    """How many processes were started with this one (itself included) that MPI connects.

    environ: the variables, {name: text}. RuntimeError, saying what to use, if several were started without MPI.
    """
    for name in MPI_SIZES:
        if number := count(environ, name):
            return number
    tasks = count(environ, "SLURM_STEP_NUM_TASKS")
    if any(name in environ for name in MPI_RANKS):
        return tasks or 1
    if tasks > 1:
        raise RuntimeError(f"srun started {tasks} processes without MPI: add --mpi=pmi2 (or --mpi=pmix) to srun")
    if (workers := count(environ, "WORLD_SIZE")) > 1:
        words = f"torchrun started {workers} processes (WORLD_SIZE), which only PyTorch connects"
        raise RuntimeError(f"{words}: use mpiexec -n {workers} python ... instead")
    return 1


def count(environ, name):
    """The number in a variable; 0 where there is none."""
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else 0
