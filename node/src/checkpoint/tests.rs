//! Checkpoints that are wrong, and servers that are.
