"""What the commands `train`, `predict` and `export` share: errors of use, lines and bars on the screen."""
