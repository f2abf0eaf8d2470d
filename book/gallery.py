"""Steppers and graphs of the five nets, each a page that needs nothing else."""

import numpy as np

import architectures
import minigrad as mg
from minigrad import data, explain
from minigrad.nn import functional as F

NETS = {
    "alexnet_small": "AlexNet: five convolutions, two of them in two groups, three linear layers.",
    "vgg_small_bn": "VGG: 3x3 convolutions in stages; each stage has half the pixels.",
    "googlenet_small": "GoogLeNet: in an inception module four branches part from one input, and a concat joins them.",
    "resnet20": "ResNet: at each add the gradient goes both ways, unchanged along the shortcut.",
    "densenet_small": "DenseNet: each layer reads all layers before it in its block.",
}
ENTRY = """## {name}

{text}

```{{raw}} html
<p><a href="gallery/{name}-stepper.html">Step through its backward pass</a> &middot;
<a href="gallery/{name}-graph.html">its graph</a></p>
<iframe class="gallery" loading="lazy" title="The backward pass of {name}, to be stepped through"
 src="gallery/{name}-stepper.html"></iframe>
```

"""


def loss_of(name):
    """(net, a function that computes its loss for two images that ship with minigrad)."""
    net = architectures.create(name, image_size=28, in_channels=1)
    train, _ = data.load("fashion-mnist-10k")
    chosen = [train[i] for i in range(2)]
    images = mg.tensor(np.stack([image for image, _ in chosen]).astype(np.float32) / 255)
    return net, lambda: F.cross_entropy(net(images), np.array([label for _, label in chosen]))


def write(source):
    """Write the pages into extra/gallery, from where Sphinx copies them as they are; a line that says so."""
    folder = source / "extra" / "gallery"
    folder.mkdir(parents=True)
    with mg.use_kernels("reference"):  # nothing is compiled for two images
        for name in NETS:
            net, loss = loss_of(name)
            explain.graph(loss, model=net).to_html(folder / f"{name}-graph.html")
            explain.Stepper(loss, model=net).to_html(folder / f"{name}-stepper.html")
    with open(source / "gallery.md", "a") as file:
        file.write("".join(ENTRY.format(name=name, text=text) for name, text in NETS.items()))
    return f"steppers and graphs of {len(NETS)} nets"
