"""What a training step is, compiled and kept: state, step, program, checkpoints."""
