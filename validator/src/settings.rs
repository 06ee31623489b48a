//! What an operator sets per key: where fees go, how large blocks may be, what is written on them.

use consensus::types::{Bytes32, ExecutionAddress};

/// The settings of one key: its own, and what it leaves out from `default`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// Where the fees of its blocks go; none where nothing is set, and then it must not propose on a public network.
    pub fee_recipient: Option<ExecutionAddress>,
    /// The gas limit that it votes for; none leaves it to the execution client.
    pub gas_limit: Option<u64>,
    /// What is written on its blocks, UTF-8 padded with zeros.
    pub graffiti: Option<Bytes32>,
    /// Whether external builders may build its blocks.
    pub builder: bool,
    /// How much more a builder's block is worth than an own one of the same value, in percent; none is 100.
    pub builder_boost_factor: Option<u64>,
}
