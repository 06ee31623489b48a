//! Genesis states of local networks.
