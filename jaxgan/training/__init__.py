"""Training: state, step, compiled program, checkpoints, several hosts."""
