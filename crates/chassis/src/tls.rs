//! TLS of the service's own port: a certificate out of two files, read anew when they change.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Tasks;
use crate::settings::TlsSettings;

/// The certificate that is shown to clients. Connections that are up keep the one they began with.
#[derive(Debug)]
struct Certificate {
    files: Files,
    shown: RwLock<Shown>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct Shown {
    pem: Pem,
    key: Arc<CertifiedKey>,
}

/// The files' content.
#[derive(Debug, PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What the server needs for TLS, if there is a certificate.
pub(crate) fn config(tasks: &Tasks, settings: &TlsSettings) -> anyhow::Result<Option<ServerConfig>> {
    if !settings.is_on() {
        return Ok(None);
    }
    let certificate = Certificate::load(settings).context("http.tls")?;
    let config = certificate.server_config()?;
    let every = Duration::from_secs(settings.reload_s);
    tasks.spawn("tls certificate", move |stopping| {
        certificate.follow(every, stopping)
    });
    Ok(Some(config))
}

impl Certificate {
    /// The certificate of the settings' files.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not belong together.
    fn load(settings: &TlsSettings) -> anyhow::Result<Arc<Self>> {
        let files = Files {
            certificate: settings.certificate.clone(),
            key: settings.key.clone(),
        };
        let pem = files.read()?;
        let key = Arc::new(pem.parse()?);
        Ok(Arc::new(Self {
            files,
            shown: RwLock::new(Shown { pem, key }),
        }))
    }

    /// What the server needs: TLS 1.2 and 1.3 with this certificate.
    ///
    /// # Errors
    /// When the library has no such protocol: never.
    fn server_config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        Ok(
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(self.clone()),
        )
    }

    /// Shows a new certificate soon after the files change; a broken one is complained about and not shown. Runs until
    /// the process stops.
    async fn follow(self: Arc<Self>, every: Duration, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let certificate = self.clone();
            match tokio::task::spawn_blocking(move || certificate.reload()).await {
                Ok(Ok(true)) => tracing::info!("the tls certificate has changed"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(
                        error.message = format!("{error:#}"),
                        "the tls certificate is not usable, keeping the old one"
                    );
                }
                Err(error) => tracing::error!(error.message = %error, "reading the tls certificate failed"),
            }
        }
    }

    fn reload(&self) -> anyhow::Result<bool> {
        let pem = self.files.read()?;
        if self.shown.read().unwrap_or_else(PoisonError::into_inner).pem == pem {
            return Ok(false);
        }
        let key = Arc::new(pem.parse()?);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Shown { pem, key };
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(shown.key.clone())
    }
}

impl Files {
    fn read(&self) -> anyhow::Result<Pem> {
        let read =
            |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        Ok(Pem {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
        })
    }
}

impl Pem {
    fn parse(&self) -> anyhow::Result<CertifiedKey> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .context("the certificate is no PEM")?;
        anyhow::ensure!(!chain.is_empty(), "there is no certificate in the file");
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("the key is no PEM")?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .context("the certificate and its key do not belong together")
    }
}
