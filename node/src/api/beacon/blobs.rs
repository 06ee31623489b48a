//! Blobs of a block: as they came in Deneb and Electra, put together from columns from Fulu on.

use crate::api::bulk::{self, Pieces};
use crate::api::http::{Answer, Call, Error, Format, JSON_OR_SSZ, Router};
use crate::api::ids::FoundBlock;
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use consensus::Fork;
use consensus::das::recover_matrix;
use consensus::helpers::misc::kzg_commitment_to_versioned_hash;
use consensus::preset::CELLS_PER_EXT_BLOB;
use consensus::ssz::{Bound, ByteVector, Json, Out, Ssz};
use consensus::types::{BlobSidecar, DataColumnSidecar, MatrixEntry, SignedBeaconBlock, VersionedHash};
use storage::Sidecar;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/blobs/{block_id}", JSON_OR_SSZ, get_blobs);
}

/// Columns that together are the blobs themselves: the rest is what they were extended by.
const DATA_COLUMNS: u64 = CELLS_PER_EXT_BLOB / 2;

/// Where the blobs of a block come from.
enum Source {
    Blobs(Vec<BlobSidecar>),
    /// At least half of all columns, ascending.
    Columns(Vec<DataColumnSidecar>),
}

/// Blobs being written, one at a time.
struct Listing {
    source: Source,
    /// Which blobs of the block, ascending.
    rows: std::vec::IntoIter<usize>,
    format: Format,
    first: bool,
    before: Vec<u8>,
}

impl Listing {
    /// The blob of a row; `None` if what is stored does not make one.
    fn blob(&self, row: usize) -> Option<ByteVector> {
        match &self.source {
            Source::Blobs(blobs) => blobs
                .iter()
                .find(|blob| blob.index == row as u64)
                .map(|blob| blob.blob.clone()),
            Source::Columns(columns) => blob_of(columns, row),
        }
    }
}

/// One row of the matrix: the cells of the first half where they are here, else recovered from any half.
fn blob_of(columns: &[DataColumnSidecar], row: usize) -> Option<ByteVector> {
    let data: Vec<&DataColumnSidecar> = columns.iter().filter(|column| column.index < DATA_COLUMNS).collect();
    if data.len() as u64 == DATA_COLUMNS {
        let cells = data.iter().map(|column| column.column.get(row).map(|cell| &cell.0[..]));
        return Some(ByteVector(cells.collect::<Option<Vec<_>>>()?.concat()));
    }
    let entries = columns.iter().map(|column| {
        Some(MatrixEntry {
            cell: *column.column.get(row)?,
            kzg_proof: *column.kzg_proofs.get(row)?,
            column_index: column.index,
            row_index: 0,
        })
    });
    let recovered = recover_matrix(&entries.collect::<Option<Vec<_>>>()?, 1).ok()?;
    let cells = recovered.iter().filter(|entry| entry.column_index < DATA_COLUMNS);
    Some(ByteVector(cells.flat_map(|entry| entry.cell.0).collect()))
}

impl Pieces for Listing {
    fn write(&mut self, bytes: &mut Vec<u8>) -> bool {
        let mut out = Out::memory(1 << 18);
        out.put(&std::mem::take(&mut self.before));
        if let Some(row) = self.rows.next() {
            // Checked before the answer began.
            let blob = self.blob(row).unwrap_or_default();
            if self.format == Format::Ssz {
                out.put(&blob.0);
            } else {
                if !std::mem::replace(&mut self.first, false) {
                    out.put(b",");
                }
                blob.write_json(Fork::Deneb, &[Bound::Fixed(blob.0.len() as u64)], &mut out);
            }
        }
        let more = self.rows.len() > 0;
        if !more && self.format == Format::Json {
            out.put(b"]}");
        }
        *bytes = out.into_bytes();
        more
    }
}

/// Which blobs of the block are asked for. All without hashes.
fn rows(block: &SignedBeaconBlock, hashes: &[VersionedHash]) -> Vec<usize> {
    let commitments = block.message.body.blob_kzg_commitments.iter().enumerate();
    let wanted = commitments
        .filter(|(_, commitment)| hashes.is_empty() || hashes.contains(&kzg_commitment_to_versioned_hash(commitment)));
    wanted.map(|(row, _)| row).collect()
}

/// What is stored of a block's blobs. Error 404 where it is not enough.
async fn source(context: &ApiContext, block: &FoundBlock, count: usize) -> Result<Source, Error> {
    let (root, slot) = (block.root, block.slot);
    let kind = if block.fork() >= Fork::Fulu {
        Sidecar::Column
    } else {
        Sidecar::Blob
    };
    let stored = context.read(move |storage| {
        let mut stored = Vec::new();
        let indices = storage.sidecar_indices(slot, &root, kind)?;
        let first_half = indices.iter().filter(|index| **index < DATA_COLUMNS).count() as u64;
        for index in indices {
            // The second half is only needed where something of the first is missing.
            if kind == Sidecar::Blob || index < DATA_COLUMNS || first_half < DATA_COLUMNS {
                stored.extend(storage.sidecar(slot, &root, kind, index)?);
            }
        }
        Ok(stored)
    });
    let stored = stored.await?;
    let enough = match kind {
        Sidecar::Blob => count,
        Sidecar::Column => DATA_COLUMNS as usize,
    };
    if stored.len() < enough {
        let message = format!(
            "of the block's blob data {} parts are kept here, and {enough} are needed: they are past the time for which \
             they are kept, or this node holds too few columns",
            stored.len()
        );
        return Err(Error::not_found(message));
    }
    let decoded = context.work(move || {
        Ok(match kind {
            Sidecar::Blob => {
                let blobs = stored.iter().map(|(fork, ssz)| BlobSidecar::decode(ssz, *fork));
                Source::Blobs(blobs.collect::<Result<_, consensus::ssz::SszError>>()?)
            }
            Sidecar::Column => {
                let columns = stored.iter().map(|(fork, ssz)| DataColumnSidecar::decode(ssz, *fork));
                Source::Columns(columns.collect::<Result<_, consensus::ssz::SszError>>()?)
            }
        })
    });
    let damaged = |error: consensus::ssz::SszError| Error::internal(format!("the database has damaged blobs: {error}"));
    decoded.await?.map_err(damaged)
}

/// Spec: beacon-APIs, `getBlobs`.
async fn get_blobs(context: Context, call: Call) -> Answer {
    let hashes = call.query.list("versioned_hashes").into_iter().map(str::parse);
    let hashes: Result<Vec<VersionedHash>, _> = hashes.collect();
    let hashes = hashes.map_err(|_| Error::bad_request("a versioned hash has 32 bytes with 0x"))?;
    let block = context.block(&call).await?;
    let place = context.place().await?;
    let signed = context.load_decoded(&block).await?;
    let rows = rows(&signed, &hashes);
    let source = if rows.is_empty() {
        Source::Blobs(Vec::new())
    } else {
        source(&context, &block, signed.message.body.blob_kzg_commitments.len()).await?
    };
    let reply = Reply::new().standing(block.standing);
    let before = match call.format {
        Format::Json => [reply.before_data(), b"[".to_vec()].concat(),
        Format::Ssz => Vec::new(),
    };
    let listing = Listing {
        source,
        rows: rows.into_iter(),
        format: call.format,
        first: true,
        before,
    };
    Ok(reply.with(call.format, bulk::body_of(context.chain.work(), listing, Some(place))))
}
