"""The suite ``timm``: image models of the package timm (PyTorch Image Models), with random weights; nothing is downloaded."""
