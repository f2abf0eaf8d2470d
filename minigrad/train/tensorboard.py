"""--tensorboard: the numbers of each epoch as files that TensorBoard shows."""

from ..command.errors import UsageError


class Board:
    """Writes records for TensorBoard into a run's directory, with the package tensorboardX.

    epoch: how many epochs are done already; what was written of later ones counts no more. UsageError without the
    package.
    """

    def __init__(self, directory, epoch=0):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise UsageError("--tensorboard needs the package tensorboardX: pip install tensorboardX") from error
        self.writer = SummaryWriter(str(directory / "tensorboard"), purge_step=epoch + 1)

    def write(self, record, rate):
        """An epoch's record, train_loss as train/loss; rate: images a second."""
        for name, value in {**record, "images_per_second": rate}.items():
            if name != "epoch":
                self.writer.add_scalar(tag(name), value, record["epoch"])
        self.writer.flush()

    def close(self):
        self.writer.close()


def tag(name):
    """train_loss -> train/loss, so that TensorBoard puts what belongs together side by side."""
    part, _, what = name.partition("_")
    return f"{part}/{what}" if part in ("train", "test") else name
