"""The classic GANs as pure functions over explicit pytrees, in JAX."""
