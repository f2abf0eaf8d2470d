"""Max pooling and average pooling."""
