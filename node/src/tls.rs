//! Whom the node believes over TLS: the usual authorities of the web, and those of its operator.

use anyhow::{Context as _, Result, ensure};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// Largest file of certificates that is read: a system's own list of all authorities has a quarter of that.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The authorities whose certificates are taken.
#[derive(Clone, Debug)]
pub struct Authorities(RootCertStore);

impl Default for Authorities {
    /// Those of the web, compiled in.
    fn default() -> Self {
        Authorities(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        })
    }
}

impl Authorities {
    /// Those of the web, and those in a file (PEM). An error names the file and what is wrong with it.
    pub fn with_file(path: &Path) -> Result<Self> {
        let mut pem = Vec::new();
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut pem);
        read.with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            pem.len() as u64 <= FILE_BYTES_MAX,
            "{} has more than {FILE_BYTES_MAX} bytes: that is no list of authorities",
            path.display()
        );
        Authorities::default()
            .with_pem(&pem)
            .with_context(|| path.display().to_string())
    }

    fn with_pem(mut self, pem: &[u8]) -> Result<Self> {
        let before = self.0.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| anyhow::anyhow!("the certificates cannot be read: {error}"))?;
            self.0
                .add(certificate)
                .context("a certificate is not usable as an authority")?;
        }
        ensure!(
            self.0.len() > before,
            "there is no certificate in it (PEM, BEGIN CERTIFICATE)"
        );
        Ok(self)
    }

    /// What connects with a server, over TLS where its address says https.
    pub(crate) fn connector(&self) -> Result<HttpsConnector<HttpConnector>> {
        // Named, since a program may have several crypto libraries; this one has `ring` alone.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_root_certificates(self.0.clone())
            .with_no_client_auth();
        Ok(HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_authorities_is_refused() {
        let with = |pem: &[u8]| {
            Authorities::default()
                .with_pem(pem)
                .map_err(|error| format!("{error:#}"))
        };
        assert!(with(b"").unwrap_err().contains("no certificate in it"));
        assert!(
            with(b"ab".repeat(32).as_slice())
                .unwrap_err()
                .contains("no certificate in it")
        );
        let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(with(nonsense).unwrap_err().contains("not usable as an authority"));
        let gone = Authorities::with_file(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert!(format!("{gone:#}").contains("/nowhere/ca.pem"));
    }
}
