"""What the extra timm is for: an architecture built without weights, offline, by a torchvision that fits the image's torch."""

import timm
import torch
import torchvision

images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
with torch.inference_mode():
    classes = timm.create_model("mobilenetv2_100", pretrained=False).eval()(images)
assert classes.shape == (2, 1000), classes.shape  # the build is to end here
assert torch.isfinite(classes).all()
print(f"timm {timm.__version__} with torchvision {torchvision.__version__}: classes of 2 images")
