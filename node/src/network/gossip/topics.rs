//! The topics: their names, in which forks they are, and how long their messages may be.

use crate::network::digests::{Digests, Era};
use crate::network::sizes;
use consensus::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use consensus::ssz::{Bytes, Ssz};
use consensus::types::{
    ForkDigest, ProposerSlashing, SignedBLSToExecutionChange, SignedContributionAndProof, SignedVoluntaryExit,
    SingleAttestation, SubnetID, SyncCommitteeMessage,
};
use consensus::{Config, Fork};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// A topic, whatever its fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the variants are the spec's names
pub enum Topic {
    BeaconBlock,
    BeaconAggregateAndProof,
    BeaconAttestation(SubnetID),
    VoluntaryExit,
    ProposerSlashing,
    AttesterSlashing,
    SyncCommitteeContributionAndProof,
    SyncCommittee(SubnetID),
    BlsToExecutionChange,
    BlobSidecar(SubnetID),
    DataColumnSidecar(SubnetID),
    LightClientFinalityUpdate,
    LightClientOptimisticUpdate,
}

impl Topic {
    /// The names without subnets, of which there are few: for counts.
    pub const KINDS: [&str; 13] = [
        "beacon_block",
        "beacon_aggregate_and_proof",
        "beacon_attestation",
        "voluntary_exit",
        "proposer_slashing",
        "attester_slashing",
        "sync_committee_contribution_and_proof",
        "sync_committee",
        "bls_to_execution_change",
        "blob_sidecar",
        "data_column_sidecar",
        "light_client_finality_update",
        "light_client_optimistic_update",
    ];

    /// Its place in `KINDS`.
    pub fn kind(self) -> usize {
        match self {
            Topic::BeaconBlock => 0,
            Topic::BeaconAggregateAndProof => 1,
            Topic::BeaconAttestation(_) => 2,
            Topic::VoluntaryExit => 3,
            Topic::ProposerSlashing => 4,
            Topic::AttesterSlashing => 5,
            Topic::SyncCommitteeContributionAndProof => 6,
            Topic::SyncCommittee(_) => 7,
            Topic::BlsToExecutionChange => 8,
            Topic::BlobSidecar(_) => 9,
            Topic::DataColumnSidecar(_) => 10,
            Topic::LightClientFinalityUpdate => 11,
            Topic::LightClientOptimisticUpdate => 12,
        }
    }

    /// Those that every node of a fork joins.
    pub fn global(fork: Fork) -> Vec<Topic> {
        let all = [
            Topic::BeaconBlock,
            Topic::BeaconAggregateAndProof,
            Topic::VoluntaryExit,
            Topic::ProposerSlashing,
            Topic::AttesterSlashing,
            Topic::SyncCommitteeContributionAndProof,
            Topic::BlsToExecutionChange,
            Topic::LightClientFinalityUpdate,
            Topic::LightClientOptimisticUpdate,
        ];
        all.into_iter().filter(|topic| topic.is_in(fork)).collect()
    }

    /// The blob topics of a fork, which every node joins too. Spec: deneb and electra/p2p-interface.md.
    pub fn blobs(fork: Fork, config: &Config) -> Vec<Topic> {
        let count = match fork {
            Fork::Deneb => config.blob_sidecar_subnet_count,
            Fork::Electra => config.blob_sidecar_subnet_count_electra,
            _ => 0,
        };
        (0..count).map(Topic::BlobSidecar).collect()
    }

    /// Whether the topic is one of the fork.
    pub fn is_in(self, fork: Fork) -> bool {
        match self {
            Topic::BeaconBlock
            | Topic::BeaconAggregateAndProof
            | Topic::BeaconAttestation(_)
            | Topic::VoluntaryExit
            | Topic::ProposerSlashing
            | Topic::AttesterSlashing => true,
            Topic::SyncCommitteeContributionAndProof
            | Topic::SyncCommittee(_)
            | Topic::LightClientFinalityUpdate
            | Topic::LightClientOptimisticUpdate => fork >= Fork::Altair,
            Topic::BlsToExecutionChange => fork >= Fork::Capella,
            Topic::BlobSidecar(_) => (Fork::Deneb..Fork::Fulu).contains(&fork),
            Topic::DataColumnSidecar(_) => fork >= Fork::Fulu,
        }
    }

    /// The name without its subnet, and the subnet.
    pub(super) fn parts(self) -> (&'static str, Option<SubnetID>) {
        match self {
            Topic::BeaconBlock => ("beacon_block", None),
            Topic::BeaconAggregateAndProof => ("beacon_aggregate_and_proof", None),
            Topic::BeaconAttestation(subnet) => ("beacon_attestation_", Some(subnet)),
            Topic::VoluntaryExit => ("voluntary_exit", None),
            Topic::ProposerSlashing => ("proposer_slashing", None),
            Topic::AttesterSlashing => ("attester_slashing", None),
            Topic::SyncCommitteeContributionAndProof => ("sync_committee_contribution_and_proof", None),
            Topic::SyncCommittee(subnet) => ("sync_committee_", Some(subnet)),
            Topic::BlsToExecutionChange => ("bls_to_execution_change", None),
            Topic::BlobSidecar(subnet) => ("blob_sidecar_", Some(subnet)),
            Topic::DataColumnSidecar(subnet) => ("data_column_sidecar_", Some(subnet)),
            Topic::LightClientFinalityUpdate => ("light_client_finality_update", None),
            Topic::LightClientOptimisticUpdate => ("light_client_optimistic_update", None),
        }
    }

    /// Its name.
    pub fn name(self) -> String {
        let (name, subnet) = self.parts();
        subnet.map_or_else(|| name.to_owned(), |subnet| format!("{name}{subnet}"))
    }

    /// The topic as it is on the wire. Spec: phase0/p2p-interface.md, "Topics and messages".
    pub fn text(self, digest: ForkDigest) -> String {
        let mut text = String::from("/eth2/");
        for byte in digest.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text + "/" + &self.name() + "/ssz_snappy"
    }

    /// The topic of a name. Without leading zeros or signs, so that every topic has one name.
    fn named(name: &str) -> Option<Topic> {
        let plain = [
            Topic::BeaconBlock,
            Topic::BeaconAggregateAndProof,
            Topic::VoluntaryExit,
            Topic::ProposerSlashing,
            Topic::AttesterSlashing,
            Topic::SyncCommitteeContributionAndProof,
            Topic::BlsToExecutionChange,
            Topic::LightClientFinalityUpdate,
            Topic::LightClientOptimisticUpdate,
        ];
        if let Some(topic) = plain.into_iter().find(|topic| topic.parts().0 == name) {
            return Some(topic);
        }
        let numbered: [fn(SubnetID) -> Topic; 4] = [
            Topic::BeaconAttestation,
            Topic::SyncCommittee,
            Topic::BlobSidecar,
            Topic::DataColumnSidecar,
        ];
        numbered.into_iter().find_map(|topic| {
            let number = name.strip_prefix(topic(0).parts().0)?;
            let topic = topic(number.parse().ok()?);
            (topic.name() == name).then_some(topic)
        })
    }

    /// Whether there is such a subnet.
    fn exists(self, fork: Fork, config: &Config) -> bool {
        match self {
            Topic::BeaconAttestation(subnet) => subnet < config.attestation_subnet_count,
            Topic::SyncCommittee(subnet) => subnet < SYNC_COMMITTEE_SUBNET_COUNT,
            Topic::BlobSidecar(_) => Topic::blobs(fork, config).contains(&self),
            Topic::DataColumnSidecar(subnet) => subnet < config.data_column_sidecar_subnet_count,
            _ => true,
        }
    }

    /// Reads a topic: the era that its digest names, and which of its topics it is. `None` for one that this network has
    /// not.
    pub fn parse(text: &str, digests: &Digests, config: &Config) -> Option<(Era, Topic)> {
        let rest = text.strip_prefix("/eth2/")?;
        let (digest, rest) = rest.split_once('/')?;
        let name = rest.strip_suffix("/ssz_snappy")?;
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digest.len() != 8 || !digest.bytes().all(is_lower_hex) {
            return None;
        }
        let digest = u32::from_str_radix(digest, 16).ok()?;
        let era = digests.of(Bytes(digest.to_be_bytes()))?;
        let topic = Topic::named(name)?;
        (topic.is_in(era.fork) && topic.exists(era.fork, config)).then_some((era, topic))
    }

    /// How many bytes a message may have before compression.
    pub fn message_len(self, era: Era, config: &Config) -> RangeInclusive<usize> {
        let fork = era.fork;
        let fixed = |length: Option<usize>| {
            let length = length.unwrap_or(0);
            length..=length
        };
        match self {
            Topic::BeaconBlock => sizes::block(fork, config),
            Topic::BeaconAggregateAndProof => sizes::aggregate(fork),
            Topic::BeaconAttestation(_) if fork >= Fork::Electra => fixed(SingleAttestation::fixed_len(fork, &[])),
            Topic::BeaconAttestation(_) => sizes::attestation(fork),
            Topic::VoluntaryExit => fixed(SignedVoluntaryExit::fixed_len(fork, &[])),
            Topic::ProposerSlashing => fixed(ProposerSlashing::fixed_len(fork, &[])),
            Topic::AttesterSlashing => sizes::attester_slashing(fork),
            Topic::SyncCommitteeContributionAndProof => fixed(SignedContributionAndProof::fixed_len(fork, &[])),
            Topic::SyncCommittee(_) => fixed(SyncCommitteeMessage::fixed_len(fork, &[])),
            Topic::BlsToExecutionChange => fixed(SignedBLSToExecutionChange::fixed_len(fork, &[])),
            Topic::BlobSidecar(_) => sizes::blob_sidecar(),
            Topic::DataColumnSidecar(_) => sizes::column_sidecar(era),
            Topic::LightClientFinalityUpdate | Topic::LightClientOptimisticUpdate => sizes::light_client(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::types::Root;

    fn digests(config: &Config) -> Digests {
        Digests::new(config, Root::default())
    }

    #[test]
    fn topics_are_read_as_they_are_written() {
        for fork in Fork::ALL.into_iter().filter(|fork| *fork < Fork::Gloas) {
            let config = Config::standard().with_forks_at_genesis(fork);
            let digests = digests(&config);
            let era = digests.at(0);
            let mut topics = Topic::global(fork);
            topics.append(&mut Topic::blobs(fork, &config));
            topics.push(Topic::BeaconAttestation(63));
            if fork >= Fork::Fulu {
                topics.push(Topic::DataColumnSidecar(127));
            }
            for topic in topics {
                let kind = Topic::KINDS[topic.kind()];
                assert_eq!(topic.parts().0.trim_end_matches('_'), kind);
                let text = topic.text(era.digest);
                assert_eq!(Topic::parse(&text, &digests, &config), Some((era, topic)), "{text}");
                let lengths = topic.message_len(era, &config);
                assert!(*lengths.end() > 0 && !lengths.is_empty(), "{text}: {lengths:?}");
            }
        }
    }

    #[test]
    fn others_are_not_read() {
        let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        let digests = digests(&config);
        let good = Topic::BeaconAttestation(7).text(digests.at(0).digest);
        assert!(Topic::parse(&good, &digests, &config).is_some());
        let digest = &good[6..14];
        for bad in [
            good.replace(digest, "00000000"),
            good.replace(digest, &digest.to_uppercase().replace(char::is_numeric, "A")),
            good.replace("_7", "_07"),
            good.replace("_7", "_+7"),
            good.replace("_7", "_64"),
            good.replace("_7", ""),
            good.replace("ssz_snappy", "ssz"),
            good.replace("beacon_attestation_7", "blob_sidecar_0"),
            good.replace("beacon_attestation_7", "beacon_blocks"),
            String::new(),
        ] {
            assert_eq!(Topic::parse(&bad, &digests, &config), None, "{bad}");
        }
    }
}
