//! Writing results to standard output or a file.

use crate::exit::Failure;
use consensus::Fork;
use consensus::ssz::Out;
use consensus::types::registry::DynSsz;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// A reader that goes away (`| head`) wanted no more: that is no failure.
pub(super) fn finish(result: io::Result<()>, what: &str) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io(format!("cannot write {what}"), &error))
        }
        _ => Ok(()),
    }
}

/// Prints one line (or several in one text).
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    finish(
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()),
        "to standard output",
    )
}

/// Prints `object` as one line of JSON.
pub(super) fn json(object: &dyn DynSsz, fork: Fork) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let mut out = Out::writer(&mut stdout);
    object.write_json(fork, &mut out);
    out.put(b"\n");
    let result = out.finish().and_then(|()| stdout.flush());
    finish(result, "to standard output")
}

/// Writes `object` as SSZ to `path`, in raw snappy if its name ends so; without a path to standard output.
pub(super) fn object(object: &dyn DynSsz, fork: Fork, path: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            return Err(Failure::usage(
                "SSZ is binary and will not be written to a terminal; give --output FILE",
            ));
        }
        return finish(write(object, fork, &mut stdout), "to standard output");
    };
    let packed = path.extension().is_some_and(|extension| extension == "ssz_snappy");
    let result = File::create(path).and_then(|mut file| {
        if packed {
            let bytes = snap::raw::Encoder::new()
                .compress_vec(&object.ssz_bytes(fork))
                .map_err(io::Error::other)?;
            return file.write_all(&bytes);
        }
        write(object, fork, &mut file)
    });
    finish(result, &path.display().to_string())
}

fn write(object: &dyn DynSsz, fork: Fork, mut writer: &mut dyn Write) -> io::Result<()> {
    let mut out = Out::writer(&mut writer);
    object.write_ssz(fork, &mut out);
    out.finish()?;
    writer.flush()
}
