//! Node records: any bytes as one, and a well signed one with any values in it, which is what a hostile node can send. An
//! error, or what it says within the bounds of this network.
//!
//! A first byte of 0 takes the rest as a record's bytes; otherwise the rest is a list of entries, each a byte for its key,
//! one for its length, and so many bytes of its value.

use alloy_rlp::Decodable as _;
use consensus::types::Root;
use consensus::{Config, Fork};
use discv5::enr::CombinedKey;
use node::network::enr::{Enr, ForkPoint, Place, Record, kinship, multiaddrs};
use node::network::subnets::{column_subnets_of_peer, custody_columns};
use std::sync::OnceLock;

/// What a node says, and one thing that it does not.
pub(crate) const KEYS: [&str; 14] = [
    "eth2", "attnets", "syncnets", "cgc", "nfd", "ip", "ip6", "udp", "udp6", "tcp", "tcp6", "quic", "quic6", "eth",
];

/// Whose records are made here.
pub(crate) fn key() -> CombinedKey {
    CombinedKey::secp256k1_from_bytes(&mut [1; 32]).expect("it is a key")
}

fn ours() -> &'static (Config, ForkPoint) {
    static OURS: OnceLock<(Config, ForkPoint)> = OnceLock::new();
    OURS.get_or_init(|| {
        let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        let point = ForkPoint::at(&config, Root::default(), 0);
        (config, point)
    })
}

/// Looks at a record as discovery does; whether it is one of a beacon node.
pub(crate) fn look_at(record: &Enr) -> bool {
    let _ = Place::of(record);
    assert!(multiaddrs(record, true).len() <= 4);
    assert!(multiaddrs(record, false).len() <= multiaddrs(record, true).len());
    let Ok(said) = Record::of(record) else { return false };
    let (config, point) = ours();
    let _ = kinship(point, &said);
    let number = consensus::ssz::U256::from_be_bytes(said.node_id.raw());
    let columns = column_subnets_of_peer(config, number, said.custody_group_count);
    let least = custody_columns(config, number, config.custody_requirement).expect("there are so many groups");
    assert!(columns.len() >= least.len(), "a peer keeps what everyone has to");
    true
}

/// Whether it was the record of a beacon node. Panics where something is wrong.
pub(crate) fn check(data: &[u8]) -> bool {
    let [kind, bytes @ ..] = data else {
        return false;
    };
    if *kind == 0 {
        return Enr::decode(&mut &bytes[..]).is_ok_and(|record| look_at(&record));
    }
    let mut builder = Enr::builder();
    let mut rest = bytes;
    while let [name, length, more @ ..] = rest {
        let (value, more) = more.split_at((*length as usize).min(more.len()));
        // Raw: whether it is well-formed RLP is for the reader to see.
        builder.add_value_rlp(KEYS[*name as usize % KEYS.len()], value.to_vec().into());
        rest = more;
    }
    let Ok(record) = builder.build(&key()) else {
        return false;
    };
    let good = look_at(&record);
    // What others are sent of it is what they read.
    if let Ok(again) = record.to_base64().parse::<Enr>() {
        assert_eq!(look_at(&again), good);
    }
    good
}
