"""Which parameters decay."""


def parameter_groups(model, weight_decay, norm_weight_decay=None):
    """Parameter groups for an optimizer: all parameters with weight_decay, or two groups.

    With norm_weight_decay (0, as a rule) the vectors, which are batch norm's gamma and beta and all biases, get that
    instead: shrinking them regularises nothing (He et al. 2019, "Bag of tricks", section 3.1).
    """
    if norm_weight_decay is None:
        return [{"params": list(model.parameters()), "weight_decay": weight_decay}]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    weights = [p for p in model.parameters() if p.ndim > 1]
    groups = ({"params": weights, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": norm_weight_decay})
    return [group for group in groups if group["params"]]
